import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ServerConnection } from '@jupyterlab/services';

import { SessionUserClient } from '../lib/client.js';
import { answer } from './fixtures.mjs';

/** A client whose server gives one answer, and the list of the addresses that it asked. */
function clientOf(status, body) {
  const asked = [];
  const fetch = async request => {
    asked.push(request.url);
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
  };
  const baseUrl = 'http://localhost:8888/user/ada/';
  const serverSettings = ServerConnection.makeSettings({ baseUrl, fetch });
  return { client: new SessionUserClient({ serverSettings }), asked };
}

test('it asks below the base URL', async () => {
  const { client, asked } = clientOf(200, answer());
  await client.whoAmI();
  assert.equal(new URL(asked[0]).pathname, '/user/ada/api/session-user/me');
});

test('200 is decoded', async () => {
  const { kind, session } = await clientOf(200, answer()).client.whoAmI();
  assert.deepEqual([kind, session.user.username], ['present', 'ada']);
});

for (const [status, kind] of [[401, 'refused'], [403, 'refused'], [404, 'absent']]) {
  test(`${status} means ${kind}`, async () => {
    assert.deepEqual(await clientOf(status, {}).client.whoAmI(), { kind });
  });
}

for (const status of [429, 500, 502, 503]) {
  test(`${status} decides nothing: it rejects`, async () => {
    await assert.rejects(clientOf(status, {}).client.whoAmI());
  });
}

for (const body of ['<html>login</html>', 'null', '{}']) {
  test(`a 200 that is not the answer rejects: ${body}`, async () => {
    await assert.rejects(clientOf(200, body).client.whoAmI());
  });
}
