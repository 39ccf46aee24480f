import assert from 'node:assert/strict';
import { test } from 'node:test';

import { loginPopup } from '../lib/popup.js';
import { fakeClock, settled } from './fixtures.mjs';

/** A login that is over, a browser that opens windows or not, and what happened. */
function opening({ state = 'expired', blocked = 0, session = null } = {}) {
  const clock = fakeClock();
  const popup = { closed: false, close: () => (popup.closed = true) };
  const opened = [];
  const model = { state, session, asked: 0, check: async () => (model.asked++, model.state) };
  const open = (url, name) => (opened.push(`${name} ${url}`), opened.length > blocked ? popup : null);
  const login = loginPopup({ model, url: '/signed-in', open, clock });
  return { clock, login, model, opened, popup };
}

test('it asks until the login is good, then closes the window', async () => {
  const { clock, login, model, popup } = opening();
  assert.equal(login(), true);
  await clock.pass(5000);
  assert.deepEqual([model.asked, popup.closed], [2, false]);
  Object.assign(model, { state: 'active', session: { expiresAt: null } });
  await clock.pass(2000);
  assert.deepEqual([popup.closed, clock.waiting], [true, 0]);
});

test('a handle that a login page has cut makes no difference', async () => {
  const { clock, login, model, popup } = opening();
  login();
  popup.closed = true;
  await clock.pass(60_000);
  assert.equal(model.asked, 30);
});

test('it does not ask for ever', async () => {
  const { clock, login, model } = opening();
  login();
  await clock.pass(60 * 60_000);
  assert.deepEqual([model.asked, clock.waiting], [150, 0]);
});

test('before the end the page is told which end is meant, and a later one is the answer', async () => {
  const session = { expiresAt: '2026-11-22T12:00:00+00:00' };
  const { clock, login, model, opened, popup } = opening({ state: 'expiring', session });
  login();
  assert.match(opened[0], /\/signed-in\?until=2026-11-22T12%3A00%3A00%2B00%3A00$/);
  await clock.pass(4000);
  assert.equal(popup.closed, false);
  model.session = { expiresAt: '2026-11-22T13:00:00+00:00' };
  await clock.pass(2000);
  assert.equal(popup.closed, true);
});

test('a tab where the browser opens no window, and word where it opens neither', () => {
  const tab = opening({ blocked: 1 });
  assert.equal(tab.login(), true);
  assert.match(tab.opened[1], /^_blank /);
  const nothing = opening({ blocked: 2 });
  assert.equal(nothing.login(), false);
  assert.equal(nothing.clock.waiting, 0);
});

test('a second click does not ask twice as often', async () => {
  const { clock, login, model } = opening();
  login();
  login();
  await clock.pass(2000);
  await settled();
  assert.equal(model.asked, 1);
});
