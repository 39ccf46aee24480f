import assert from 'node:assert/strict';
import { test } from 'node:test';

import { askAt, kernelState } from '../../lib/banner/server.js';

const PLACE = { base: 'https://hub/user/ada/', token: '', isApp: false, kernelId: '' };

/** What `ask` returns if the browser's fetch gives an answer, and what it was asked. */
async function asking(context, next, place = PLACE) {
  const requests = [];
  const { fetch } = globalThis;
  context.after(() => (globalThis.fetch = fetch));
  globalThis.fetch = async (url, init) => {
    requests.push({ url, ...init });
    if (next instanceof Error) {
      throw next;
    }
    return next;
  };
  return { answer: await askAt(place)('api/session-user/me'), requests };
}

test('a request follows no redirect, and carries the cookies of this server alone', async context => {
  const { answer, requests } = await asking(context, new Response('{}'));
  assert.equal(answer.status, 200);
  const [{ url, redirect, credentials, cache, headers }] = requests;
  assert.equal(url, 'https://hub/user/ada/api/session-user/me');
  assert.deepEqual([redirect, credentials, cache], ['manual', 'same-origin', 'no-store']);
  assert.deepEqual(headers, { Accept: 'application/json' });
});

test("with JupyterLab's token in the page no cookie is needed", async context => {
  const { requests } = await asking(context, new Response(''), { ...PLACE, token: 'secret' });
  assert.equal(requests[0].headers.Authorization, 'token secret');
});

for (const status of [424, 502, 503, 504]) {
  test(`${status}: a hub or a proxy answers for a server that is gone`, async context => {
    assert.equal((await asking(context, new Response('', { status }))).answer, null);
  });
}

test('a network error and a timeout are no answer', async context => {
  assert.equal((await asking(context, new TypeError('failed'))).answer, null);
});

for (const [answer, expected] of [
  [null, 'unreachable'],
  [new Response('', { status: 403 }), 'refused'],
  [new Response('', { status: 404 }), 'missing'],
  [new Response('', { status: 500 }), 'unknown'],
  [new Response('{"execution_state": "dead"}'), 'dead'],
  [new Response('{"execution_state": "busy"}'), 'alive'],
  [new Response('null'), 'alive'],
  [new Response('<html>'), 'alive']
]) {
  test(`a kernel by its answer: ${answer?.status}: ${expected}`, async () => {
    const asked = [];
    const ask = async path => (asked.push(path), answer);
    assert.equal(await kernelState(ask, 'a/b'), expected);
    assert.deepEqual(asked, ['api/kernels/a%2Fb?no_track_activity=1']);
  });
}
