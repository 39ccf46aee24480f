import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../../lib/shared/decode.js';
import {
  areTwoPeople,
  isOver,
  isSoon,
  leftOf,
  minutesOf,
  nextLook,
  stateOf
} from '../../lib/shared/login.js';
import { answer } from '../fixtures.mjs';

const MINUTE = 60_000;
const END = Date.parse('2026-11-22T12:00:00Z');
const session = (changes, user) =>
  decodeSession(answer({ expires_at: '2026-11-22T12:00:00Z', expiry_source: 'jwt', ...changes }, user));
const before = minutes => END - minutes * MINUTE;

for (const { minutes, warn, source, expected } of [
  { minutes: 11, warn: 10, source: 'jwt', expected: 'active' },
  { minutes: 10, warn: 10, source: 'jwt', expected: 'expiring' },
  { minutes: 10, warn: 10, source: 'idle', expected: 'expiring' },
  { minutes: 10, warn: 10, source: 'estimated', expected: 'active' },
  { minutes: 5, warn: 10, source: 'estimated', expected: 'expiring' },
  { minutes: 2, warn: 1, source: 'estimated', expected: 'active' },
  { minutes: 1, warn: 0, source: 'jwt', expected: 'active' },
  { minutes: -1, warn: 5, source: 'jwt', expected: 'expiring' }
]) {
  test(`${minutes} min before the end (${source}), warning at ${warn}: ${expected}`, () => {
    const login = session({ expiry_source: source });
    assert.equal(stateOf(login, before(minutes), warn * MINUTE), expected);
  });
}

test('what the server says is over is over, whatever the time', () => {
  for (const state of ['expired', 'signed_out', 'revoked']) {
    assert.equal(stateOf(session({ state }), before(100), MINUTE), state);
    assert.ok(isOver(state));
  }
  for (const state of ['unknown', 'active', 'expiring', 'unreachable']) {
    assert.ok(!isOver(state));
  }
});

test('one looks again when it is time to warn, then at the end, then no more', () => {
  const look = minutes => nextLook(session(), before(minutes), 5 * MINUTE);
  assert.ok(Math.abs(look(60) - 55 * MINUTE) < 1000);
  assert.ok(Math.abs(look(3) - 3 * MINUTE) < 1000);
  assert.ok(look(60) > 55 * MINUTE, 'not a moment too early');
  assert.ok(look(0) > 0 && look(0) < 1000, 'again, for the server may need a moment');
  assert.deepEqual([look(-1), look(60 * 24 * 30)], [null, null]);
});

test('without a setting it is time to warn when the server says so', () => {
  const state = (minutes, changes) => stateOf(session(changes), before(minutes), null);
  assert.equal(state(1, { state: 'active' }), 'active');
  assert.equal(state(60, { state: 'expiring' }), 'expiring');
  const guess = { state: 'expiring', expiry_source: 'estimated' };
  assert.deepEqual([6, 5, -5, -6].map(minutes => state(minutes, guess)), [
    'active',
    'expiring',
    'expiring',
    'active'
  ]);
  for (const said of ['active', 'expiring']) {
    const wait = nextLook(session({ state: said }), before(3), null);
    assert.ok(Math.abs(wait - 3 * MINUTE) < 1000, 'the end is looked at');
  }
});

test('a guess that is long past was wrong', () => {
  const guess = session({ expiry_source: 'estimated' });
  assert.deepEqual(
    [-5, -6].map(minutes => stateOf(guess, before(minutes), 5 * MINUTE)),
    ['expiring', 'active']
  );
});

test('an end that nobody knows never comes', () => {
  const login = session({ expires_at: null });
  assert.deepEqual(
    [leftOf(login, 0), nextLook(login, 0, MINUTE), stateOf(login, 0, MINUTE)],
    [null, null, 'active']
  );
});

test('minutes are whole, and at least one', () => {
  assert.deepEqual([1, 89_000, 91_000, 5 * MINUTE - 1].map(minutesOf), [1, 1, 2, 5]);
  assert.deepEqual([29_000, 31_000].map(isSoon), [true, false]);
});

test('made-up names tell nobody from anybody', () => {
  const ada = session();
  const grace = session({}, { username: 'grace' });
  const anonymous = session({}, { username: 'x1', is_anonymous: true });
  const again = session({ id: 'session-2' });
  assert.deepEqual(
    [[ada, grace], [ada, again], [ada, anonymous], [anonymous, ada]].map(pair => areTwoPeople(...pair)),
    [true, false, false, false]
  );
});
