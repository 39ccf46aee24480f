import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SessionUserModel } from '../../lib/lab/model.js';
import { decodeSession } from '../../lib/shared/decode.js';
import { answer, fakeClock } from '../fixtures.mjs';

const END = '2026-11-22T12:00:00+00:00';
const LATER = '2026-11-22T13:00:00+00:00';
const OVER = { kind: 'over', state: 'expired' };
const good = (changes = {}) => ({ kind: 'present', session: decodeSession(answer(changes)), serverTime: null });
/** The browser's clock stands at 1970, so that a warning comes from the setting alone. */
const ending = expires_at => good({ expires_at, expiry_source: 'jwt' });

/** A page whose login has come to `now`, a browser that opens windows or not, and what happened. */
async function opening({ now = OVER, blocked = 0 } = {}) {
  const clock = fakeClock();
  const popup = { closed: false, close: () => (popup.closed = true) };
  const opened = [];
  const server = { asked: 0, now: good(), whoAmI: async () => (server.asked++, server.now) };
  const baseUrl = 'https://hub/';
  const model = new SessionUserModel({ client: server, clock, baseUrl, autoStart: false });
  await model.refresh();
  server.now = now;
  await model.refresh();
  server.asked = 0;
  const open = (url, name) => (opened.push(`${name} ${url}`), opened.length > blocked ? popup : null);
  return { clock, login: () => model.logIn(open), model, opened, popup, server };
}

test('it asks until the login is good, then closes the window', async () => {
  const { clock, login, popup, server } = await opening();
  assert.equal(login(), true);
  await clock.pass(5000);
  assert.deepEqual([server.asked, popup.closed], [2, false]);
  server.now = good();
  await clock.pass(2000);
  assert.deepEqual([popup.closed, clock.waiting], [true, 0]);
});

test('a handle that a login page has cut makes no difference', async () => {
  const { clock, login, popup, server } = await opening();
  login();
  popup.closed = true;
  await clock.pass(60_000);
  assert.equal(server.asked, 30);
});

test('it does not ask for ever', async () => {
  const { clock, login, server } = await opening();
  login();
  await clock.pass(60 * 60_000);
  assert.deepEqual([server.asked, clock.waiting], [150, 0]);
});

test('before the end the page is told which end is meant, and a later one is the answer', async () => {
  const { clock, login, opened, popup, server } = await opening({ now: ending(END) });
  login();
  assert.match(opened[0], /\/signed-in\?until=2026-11-22T12%3A00%3A00%2B00%3A00$/);
  await clock.pass(4000);
  assert.equal(popup.closed, false);
  server.now = ending(LATER);
  await clock.pass(2000);
  assert.equal(popup.closed, true);
});

test('a window that the user has closed before the end is asked for once more', async () => {
  const { clock, login, popup, server } = await opening({ now: ending(END) });
  login();
  popup.closed = true;
  await clock.pass(60_000);
  assert.equal(server.asked, 1);
});

test('a tab where the browser opens no window, and word where it opens neither', async () => {
  const tab = await opening({ blocked: 1 });
  assert.equal(tab.login(), true);
  assert.match(tab.opened[1], /^_blank /);
  const nothing = await opening({ blocked: 2 });
  assert.equal(nothing.login(), false);
  assert.equal(nothing.clock.waiting, 0);
});

test('a second click does not ask twice as often', async () => {
  const { clock, login, server } = await opening();
  login();
  login();
  await clock.pass(2000);
  assert.equal(server.asked, 1);
});

test('a link for a browser that opens no window leads to the same page', async () => {
  const ended = await opening();
  assert.equal(ended.model.loginUrl, 'https://hub/session-user/signed-in');
  for (const page of [ended, await opening({ now: ending(END) })]) {
    page.login();
    assert.equal(page.opened[0], `jupyter-session-user-login ${page.model.loginUrl}`);
  }
});
