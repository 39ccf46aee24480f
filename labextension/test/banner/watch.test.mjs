import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Watch } from '../../lib/banner/watch.js';
import { answer, fakeClock } from '../fixtures.mjs';

const MINUTE = 60_000;
const json = (body, status = 200) => new Response(JSON.stringify(body), { status });
const time = ms => new Date(ms).toISOString();

const ADA = answer({ state: 'active' });
const AGAIN = answer({ id: 'session-2', state: 'active' });
const GRACE = answer({ id: 'session-3', state: 'active' }, { username: 'grace', display_name: 'Grace' });

/**
 * A watch over a server with one answer for each address, to be replaced as time goes on.
 *
 * A function answers anew each time, null is no answer; kernels are alive.
 */
function watching({ me = ADA, place = {}, ...options } = {}) {
  const clock = fakeClock();
  const server = { me, 'login-state': { signed_in: false, state: 'expired' }, kernels: {} };
  const asked = [];
  const shown = [];
  let isHidden = false;
  const ask = async path => {
    const name = /kernels|login-state|me$/.exec(path)[0];
    asked.push(path);
    const next = typeof server[name] === 'function' ? server[name]() : server[name];
    return next === null || next instanceof Response ? (next?.clone() ?? null) : json(next);
  };
  const watch = new Watch({
    place: { base: 'https://hub/', token: '', isApp: false, kernelId: '', ...place },
    ask,
    clock,
    isHidden: () => isHidden,
    onChange: () => shown.push(watch.found.state),
    ...options
  });
  return { asked, clock, server, shown, watch, hide: is => (isHidden = is) };
}

const REFUSED = json({}, 403);
const APP = { isApp: true };

test('it asks every ten seconds, and less often never', async () => {
  const { asked, clock, shown, watch } = watching();
  await watch.check();
  await clock.pass(10_000);
  await clock.pass(10_000);
  assert.deepEqual(asked, Array(3).fill('api/session-user/me'));
  assert.deepEqual(shown, ['active', 'active', 'active']);
});

for (const state of ['expired', 'signed_out', 'revoked']) {
  test(`a login that is over (${state}) is asked for every three seconds, until it is good`, async () => {
    const { asked, clock, server, watch } = watching();
    await watch.check();
    Object.assign(server, { me: REFUSED, 'login-state': { signed_in: false, state } });
    await watch.check();
    assert.equal(watch.found.state, state);
    assert.equal(asked.at(-1), 'session-user/login-state?session=session-1');
    server.me = ADA;
    await clock.pass(2900);
    assert.equal(watch.found.state, state);
    await clock.pass(200);
    assert.equal(watch.found.state, 'active');
  });
}

test("an authorizer's no is not the end of a login", async () => {
  const { server, watch } = watching();
  await watch.check();
  Object.assign(server, { me: REFUSED, 'login-state': { signed_in: true, state: null } });
  await watch.check();
  assert.equal(watch.found.state, 'active');
});

test("it warns by the server's clock, and sees the end at once", async () => {
  const now = Date.parse('2026-11-22T12:00:00Z'); // the browser's clock is wrong by years
  const left = 4 * MINUTE;
  const { clock, server, watch } = watching();
  server.me = () =>
    answer({
      state: 'expiring',
      expiry_source: 'jwt',
      expires_at: time(now + left),
      server_time: time(now + clock.time)
    });
  await watch.check();
  assert.deepEqual(watch.found, { state: 'expiring', left, isGuess: false });
  await clock.pass(left - 50);
  assert.equal(watch.found.state, 'expiring');
  server.me = REFUSED;
  await clock.pass(200);
  assert.equal(watch.found.state, 'expired');
});

test('a server that needs a moment to end a login is asked again', async () => {
  const { clock, server, watch } = watching();
  server.me = () => answer({ expires_at: time(MINUTE), server_time: time(clock.time) });
  await watch.check();
  await clock.pass(MINUTE + 150);
  assert.equal(watch.found.state, 'active');
  server.me = REFUSED;
  await clock.pass(150);
  assert.equal(watch.found.state, 'expired');
});

test('a guess causes a warning only near its time', async () => {
  const { clock, server, watch } = watching();
  const guess = { state: 'expiring', expiry_source: 'estimated', expires_at: time(6 * MINUTE) };
  server.me = () => answer({ ...guess, server_time: time(clock.time) });
  await watch.check();
  assert.equal(watch.found.state, 'active');
  await clock.pass(MINUTE + 100);
  assert.deepEqual([watch.found.state, watch.found.isGuess], ['expiring', true]);
  await clock.pass(11 * MINUTE);
  assert.equal(watch.found.state, 'active');
});

test('one failure is none; then it tries again, ever less often', async () => {
  const { asked, clock, server, watch } = watching();
  await watch.check();
  server.me = null;
  await watch.check();
  assert.equal(watch.found.state, 'active');
  await clock.pass(1000);
  assert.equal(watch.found.state, 'unreachable');
  const before = asked.length;
  await clock.pass(60_000);
  assert.ok(asked.length - before < 8);
  server.me = ADA;
  await clock.pass(15_000);
  assert.equal(watch.found.state, 'active');
});

test('a hidden page asks nothing, and asks when it comes back', async () => {
  const { asked, clock, hide, watch } = watching();
  await watch.check();
  hide(true);
  await clock.pass(60_000);
  assert.equal(asked.length, 1);
  hide(false);
  await watch.check();
  assert.equal(asked.length, 2);
});

test('a page that is being left reports nothing of the kernel that it stops', async () => {
  const { clock, server, watch } = watching({ kernelId: 'k' });
  await watch.check();
  server.kernels = json({}, 404);
  watch.leave();
  await watch.check();
  assert.equal(watch.found.state, 'active');
  await clock.pass(20_000);
  assert.equal(watch.found.state, 'kernel_ended');
});

test('a click looks only where the last look is old', async () => {
  const { asked, clock, watch } = watching();
  await watch.check();
  watch.checkIfOld();
  await clock.pass(2001);
  watch.checkIfOld();
  await clock.pass(1);
  assert.equal(asked.length, 2);
});

test('a look during a look is followed by one more, whose result counts', async () => {
  const { server, watch } = watching();
  const checks = [watch.check(), watch.check()];
  Object.assign(server, { me: REFUSED, 'login-state': { signed_in: false, state: 'revoked' } });
  await Promise.all(checks);
  assert.equal(watch.found.state, 'revoked');
});

// ------------------------------------------------------------------------------ signing in again

test('signing in again: the window, and a question each two seconds until it is good', async () => {
  const { clock, server, watch } = watching();
  await watch.check();
  server.me = REFUSED;
  await watch.check();
  const opened = [];
  const popup = { closed: false, close: () => undefined };
  assert.ok(watch.logIn((url, name) => (opened.push(name, url), popup)));
  assert.deepEqual(opened, ['jupyter-session-user-login', 'https://hub/session-user/signed-in']);
  server.me = AGAIN;
  await clock.pass(2000);
  assert.equal(watch.found.state, 'active');
});

test('before the end the page is told which end is meant; a blocked window is reported', async () => {
  const { watch } = watching({ me: answer({ state: 'expiring', expires_at: time(MINUTE) }) });
  await watch.check();
  const opened = [];
  assert.equal(watch.logIn(url => (opened.push(url), null)), false);
  assert.match(opened[1], /signed-in\?until=1970-01-01T00%3A01%3A00\.000Z$/);
});

test('an app keeps the login with which it began', async () => {
  const { server, watch } = watching({ place: APP });
  await watch.check();
  Object.assign(server, { me: AGAIN, 'login-state': { signed_in: true, state: 'signed_out' } });
  await watch.check();
  assert.equal(watch.found.state, 'stale');
});

test('an app with a second login, and the first one goes on', async () => {
  const { server, watch } = watching({ place: APP });
  await watch.check();
  Object.assign(server, { me: AGAIN, 'login-state': { signed_in: true, state: null } });
  await watch.check();
  assert.equal(watch.found.state, 'active');
});

for (const fails of [false, true]) {
  test(`an app reconnects with its new login${fails ? '; that may fail' : ''}`, async () => {
    let count = 0;
    const reconnect = async () => {
      count += 1;
      if (fails) {
        throw new Error('refused');
      }
    };
    const connection = () => ({ isDisposed: false, status: 'idle', connectionStatus: '', reconnect });
    const { server, watch } = watching({ place: APP, connection });
    await watch.check();
    Object.assign(server, { me: AGAIN, 'login-state': { signed_in: true, state: 'expired' } });
    await watch.check();
    assert.equal(watch.found.state, fails ? 'stale' : 'active');
    await watch.check();
    assert.equal(count, fails ? 2 : 1);
  });
}

test('another user: an app belongs to the first one, a notebook has nothing to say', async () => {
  for (const isApp of [true, false]) {
    const { server, watch } = watching({ place: { isApp } });
    await watch.check();
    server.me = GRACE;
    await watch.check();
    const expected = { state: 'user_changed', name: 'Ada King Lovelace' };
    assert.deepEqual(watch.found, isApp ? expected : { state: 'active' });
  }
});

test('names that Jupyter makes up prove no other user', async () => {
  const anonymous = id => answer({ id, state: 'active' }, { username: id, is_anonymous: true });
  const { server, watch } = watching({ me: anonymous('one'), place: APP });
  await watch.check();
  Object.assign(server, { me: anonymous('two'), 'login-state': { signed_in: true, state: null } });
  await watch.check();
  assert.equal(watch.found.state, 'active');
});

// ------------------------------------------------------------------------------------- the kernel

for (const [what, kernels] of [['gone', json({}, 404)], ['dead', { execution_state: 'dead' }]]) {
  test(`a kernel that is ${what} has ended`, async () => {
    const { server, watch } = watching({ kernelId: 'k' });
    await watch.check();
    server.kernels = kernels;
    await watch.check();
    assert.equal(watch.found.state, 'kernel_ended');
  });
}

test('a kernel that the server never had says nothing', async () => {
  const { server, watch } = watching({ kernelId: 'wrong' });
  server.kernels = json({}, 404);
  await watch.check();
  assert.equal(watch.found.state, 'active');
});

test("an app's connection that is cut for good", async () => {
  for (const [cut, state] of [
    [{ status: 'dead' }, 'kernel_ended'],
    [{ isDisposed: true }, 'kernel_ended'],
    [{ connectionStatus: 'disconnected' }, 'kernel_ended'],
    [{ connectionStatus: 'connecting' }, 'active']
  ]) {
    const connection = () => ({ isDisposed: false, status: 'idle', connectionStatus: '', ...cut });
    const { watch } = watching({ place: APP, connection });
    await watch.check();
    assert.equal(watch.found.state, state);
  }
});

// ------------------------------------------------------------------- servers without our extension

const NOT_OURS = [json({}, 404), json({ version: '2' }), new Response('<html>'), REFUSED];

for (const [index, me] of NOT_OURS.entries()) {
  test(`standalone Voila answers for the kernel alone (${index})`, async () => {
    const { asked, server, watch } = watching({ me, place: { ...APP, kernelId: 'k' } });
    await watch.check();
    assert.deepEqual([watch.found.state, watch.canAsk, watch.knowsLogin], ['active', true, false]);
    server.kernels = REFUSED;
    await watch.check();
    assert.equal(watch.found.state, 'signed_out');
    assert.equal(asked.filter(path => path.endsWith('/me')).length, 1);
    server.kernels = null;
    await watch.check();
    await watch.check();
    assert.equal(watch.found.state, 'unreachable');
  });
}

test('a server that could not decide is asked again', async () => {
  const { server, watch } = watching({ me: json({}, 500) });
  await watch.check();
  assert.equal(watch.found.state, 'active');
  server.me = ADA;
  await watch.check();
  assert.ok(watch.knowsLogin);
});

test('a page without a server asks nothing', async () => {
  const { asked, watch } = watching({ place: { base: null }, kernelId: 'k' });
  await watch.check();
  assert.deepEqual([asked, watch.found.state, watch.canAsk], [[], 'active', false]);
});

test('dispose ends everything', async () => {
  const { asked, clock, shown, watch } = watching();
  const looking = watch.check();
  watch.dispose();
  await looking;
  await watch.check();
  await clock.pass(60_000);
  assert.deepEqual([asked.length, shown, clock.waiting], [1, [], 0]);
});

test('services that wait: on the pages of apps, until the login ends', async () => {
  const consents = [{ service: 'trino', login_url: null }];
  const { server, watch } = watching({ me: { ...ADA, consents }, place: APP });
  await watch.check();
  assert.deepEqual(watch.consents, [{ service: 'trino', link: null }]);
  Object.assign(server, { me: REFUSED });
  await watch.check();
  assert.deepEqual(watch.consents, []);
  const lab = watching({ me: { ...ADA, consents } });
  await lab.watch.check();
  assert.deepEqual(lab.watch.consents, []); // JupyterLab has a notification
});

test('after a run it asks at once if the server gives tokens, and no more often than usual else', async () => {
  for (const [consents, more] of [
    [[], 1],
    [null, 0]
  ]) {
    const { asked, clock, watch } = watching({ me: { ...ADA, consents }, place: APP });
    await watch.check();
    watch.noteRun();
    await clock.pass(3000);
    const before = asked.length;
    watch.noteRun();
    watch.noteRun();
    await clock.pass(1);
    assert.equal(asked.length, before + more);
  }
});
