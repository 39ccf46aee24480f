import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ServerConnection } from '@jupyterlab/services';

import { askThrough } from '../../lib/lab/ask.js';
import { SessionUserClient } from '../../lib/shared/client.js';
import { answer } from '../fixtures.mjs';

/** A client with a server that gives the answers in turn, and the list of requests. */
function clientOf(...answers) {
  const asked = [];
  const fetch = async request => {
    const next = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(`${request.method} ${request.url.replace(/[?&]\d+$/, '')}`);
    if (next instanceof Error) {
      throw next;
    }
    if (next === 'redirect') {
      return { status: 0, type: 'opaqueredirect', ok: false };
    }
    const [status, body] = next;
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
  };
  const baseUrl = 'http://localhost:8888/user/ada/';
  const serverSettings = ServerConnection.makeSettings({ baseUrl, fetch });
  return { client: new SessionUserClient(askThrough(serverSettings)), asked, serverSettings };
}

test('it asks below the base URL', async () => {
  const { client, asked } = clientOf([200, answer()]);
  await client.whoAmI();
  assert.deepEqual(asked, ['GET http://localhost:8888/user/ada/api/session-user/me']);
});

test('200 is decoded, with the time of the server', async () => {
  const server_time = '1970-01-01T00:00:01Z';
  const { kind, session, serverTime } = await clientOf([200, answer({ server_time })]).client.whoAmI();
  assert.deepEqual([kind, session.user.username, serverTime], ['present', 'ada', 1000]);
});

for (const [status, kind] of [[401, 'refused'], [403, 'refused'], [404, 'absent']]) {
  test(`${status} means ${kind} for a page that never knew anybody`, async () => {
    const { client, asked } = clientOf([status, {}]);
    assert.deepEqual(await client.whoAmI(), { kind });
    assert.equal(asked.length, 1);
  });
}

for (const state of ['expired', 'signed_out', 'revoked']) {
  test(`after a refusal the server says how the login ended: ${state}`, async () => {
    const { client, asked } = clientOf([403, {}], [200, { signed_in: false, state }]);
    assert.deepEqual(await client.whoAmI('a/b'), { kind: 'over', state });
    assert.match(asked[1], /\/user\/ada\/session-user\/login-state\?session=a%2Fb$/);
  });
}

test("an authorizer's no is not the end of a login", async () => {
  const { client } = clientOf([403, {}], [200, { signed_in: true, state: null }]);
  assert.deepEqual(await client.whoAmI('id'), { kind: 'refused' });
});

for (const second of ['redirect', [403, {}]]) {
  test(`a single sign-on that stands in the way of all questions: ${second}`, async () => {
    const { client } = clientOf('redirect', second);
    assert.deepEqual(await client.whoAmI('id'), { kind: 'over', state: 'expired' });
  });
}

for (const answers of [[new TypeError('failed')], [[403, {}], new TypeError('failed')]]) {
  test(`no answer to question ${answers.length} is not the end of a login`, async () => {
    assert.deepEqual(await clientOf(...answers).client.whoAmI('id'), { kind: 'unreachable' });
  });
}

for (const status of [429, 500, 502, 503]) {
  test(`${status} decides nothing: it rejects`, async () => {
    await assert.rejects(clientOf([status, {}]).client.whoAmI('id'));
    await assert.rejects(clientOf([403, {}], [status, {}]).client.whoAmI('id'));
  });
}

for (const body of ['<html>login</html>', 'null', '{}']) {
  test(`a 200 that is not the answer rejects: ${body}`, async () => {
    await assert.rejects(clientOf([200, body]).client.whoAmI());
  });
}

test('who wraps the shared fetch later hears nothing of our questions', async () => {
  const { client, serverSettings } = clientOf([200, answer()]);
  serverSettings.fetch = () => assert.fail('asked through the shared settings');
  assert.equal((await client.whoAmI()).kind, 'present');
});

test('signing out everywhere is a POST; what the server has against it is the error', async () => {
  const { client, asked } = clientOf([200, { revoked: 2 }], [409, { message: 'no login here' }]);
  await client.signOutEverywhere();
  assert.match(asked[0], /^POST .*\/api\/session-user\/logout-everywhere$/);
  await assert.rejects(client.signOutEverywhere(), /no login here/);
});

test('kernels are decoded; a refusal rejects', async () => {
  const { client } = clientOf([200, [answer({ kernel_id: 'k' })]], [403, {}]);
  assert.deepEqual((await client.kernels()).map(kernel => kernel.kernelId), ['k']);
  await assert.rejects(client.kernels());
});
