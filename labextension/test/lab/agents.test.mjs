import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AgentsClient } from '../../lib/lab/agents/client.js';
import { decodeAgents, decodeGrant, SCOPES } from '../../lib/lab/agents/decode.js';
import { factsOf, mistakeOf, scopeLabel, timeOf } from '../../lib/lab/agents/words.js';

const trans = { __: (text, ...parts) => text.replace(/%(\d)/g, (_, at) => parts[at - 1]) };

const AGENT = {
  id: '81354eae18b8bed4',
  name: 'Report bot',
  username: 'alice',
  scopes: ['execute', 'read'],
  created_at: '2026-11-28T12:00:00Z',
  expires_at: '2026-11-28T13:00:00Z',
  used_at: null
};
const TOKEN = 'jsu_agent_0123456789_abc-DEF';
const BOT = {
  id: '81354eae18b8bed4',
  name: 'Report bot',
  scopes: ['read', 'execute'],
  expiresAt: AGENT.expires_at,
  usedAt: null
};

/** A server that answers with one status and one body. */
function makeServer(status, body) {
  const asked = [];
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const ask = async (path, { method = 'GET', body: sent = null } = {}) => {
    asked.push([method, path, sent]);
    return status === 0 ? null : new Response(status === 204 ? null : text, { status });
  };
  return { asked, client: new AgentsClient(ask, trans) };
}

test('an agent is decoded, and what is not known is ignored', () => {
  assert.deepEqual(decodeAgents([{ ...AGENT, news: 1 }]), [BOT]);
  const used = decodeAgents([{ ...AGENT, used_at: '2026-11-28T12:30:00Z' }]);
  assert.equal(used[0].usedAt, '2026-11-28T12:30:00Z');
  assert.deepEqual(decodeAgents([]), []);
});

test('nothing of an answer is believed unseen', () => {
  const wrong = [
    { id: '../kernels' },
    { id: '' },
    { id: 7 },
    { name: '' },
    { name: ' ' },
    { name: null },
    { scopes: [] },
    { scopes: 'read' },
    { scopes: ['read', 'read'] },
    { scopes: ['read', 'admin'] },
    { expires_at: null },
    { expires_at: 'soon' },
    { used_at: 12 }
  ];
  for (const change of wrong) {
    assert.throws(() => decodeAgents([{ ...AGENT, ...change }]), /expected/, JSON.stringify(change));
  }
  for (const answer of [null, {}, 'agents', [null], [[]]]) {
    assert.throws(() => decodeAgents(answer), /expected/);
  }
});

test('a token is one of ours, and no error contains it', () => {
  assert.deepEqual(decodeGrant({ ...AGENT, token: TOKEN }), { agent: BOT, token: TOKEN });
  for (const token of [undefined, null, '', 'jsu_agent_', 'other_0123', `${TOKEN} x`]) {
    assert.throws(() => decodeGrant({ ...AGENT, token }), /^DecodeError: token: expected/);
  }
  const says = reason => !reason.message.includes(TOKEN);
  assert.throws(() => decodeGrant({ ...AGENT, scopes: [], token: TOKEN }), says);
  assert.throws(() => decodeGrant({ ...AGENT, token: `${TOKEN} x` }), says);
});

test('an agent is said with its scopes in one order, its last use and its end', () => {
  const facts = factsOf(BOT, trans);
  assert.deepEqual(facts.slice(0, 2), ['Scopes: read, execute', 'Not used yet']);
  assert.equal(facts[2], `Expires: ${timeOf(BOT.expiresAt)}`);
  const used = { ...BOT, usedAt: AGENT.created_at };
  assert.equal(factsOf(used, trans)[1], `Last used: ${timeOf(AGENT.created_at)}`);
  assert.equal(new Set(SCOPES.map(scope => scopeLabel(scope, trans))).size, 3);
});

test('a form that no server could accept is not sent', () => {
  assert.equal(mistakeOf('', SCOPES, trans), 'Give the agent a name.');
  assert.equal(mistakeOf('Bot', [], trans), 'Choose at least one scope.');
  assert.equal(mistakeOf('Bot', ['read'], trans), null);
});

test('the own agents are asked for, also by an administrator', async () => {
  const { asked, client } = makeServer(200, [AGENT]);
  assert.deepEqual(await client.list(), [BOT]);
  assert.deepEqual(asked, [['GET', 'api/session-user/agents?mine=true', null]]);
});

test('a wish is sent as it is, and the answer has the token', async () => {
  const { asked, client } = makeServer(201, { ...AGENT, token: TOKEN });
  const wish = { name: 'Report bot', lifetime: 3600, scopes: ['read', 'execute'] };
  assert.equal((await client.create(wish)).token, TOKEN);
  assert.deepEqual(asked, [['POST', 'api/session-user/agents', JSON.stringify(wish)]]);
});

test('a token that has ended already counts as revoked', async () => {
  for (const status of [204, 404]) {
    const { asked, client } = makeServer(status, { message: 'no such agent' });
    await client.revoke('a1');
    assert.deepEqual(asked, [['DELETE', 'api/session-user/agents/a1', null]]);
  }
});

test('an error is the server’s reason, or the status if it gives none', async () => {
  const why = 'this server gives no tokens to agents: max_agent_lifetime is 0';
  const said = async (status, body) => {
    const { client } = makeServer(status, body);
    const acts = [() => client.list(), () => client.create({}), () => client.revoke('a1')];
    const all = await Promise.all(acts.map(act => act().catch(reason => reason.message)));
    return [...new Set(all)];
  };
  assert.deepEqual(await said(409, { message: why }), [why]);
  assert.deepEqual(await said(502, '<h1>Bad gateway</h1>'), ['The server answered with status 502']);
  assert.deepEqual(await said(500, { message: 7 }), ['The server answered with status 500']);
  assert.deepEqual(await said(0, ''), ['The server cannot be reached']);
});
