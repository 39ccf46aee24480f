import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shownOf, withKernelsWord } from '../../lib/banner/shown.js';
import { TEXTS } from '../../lib/banner/texts.js';

const MINUTE = 60_000;

/** A page of JupyterLab, with a server that knows the login. */
const page = (place = {}, knowledge = {}) => ({
  place: { base: 'https://hub/', token: '', isApp: false, kernelId: '', ...place },
  canAsk: true,
  knowsLogin: true,
  canReconnect: false,
  ...knowledge
});
const app = page({ isApp: true });
/** A page of Voila, that a new login brings back. */
const voila = page({ isApp: true }, { canReconnect: true });
const nowhere = page({ isApp: true, base: null }, { canAsk: false, knowsLogin: false });
const shown = (found, at = page(), texts = TEXTS, hidden = undefined) =>
  shownOf(found, at, texts, hidden);
const offers = (state, at) => shown({ state }, at).offers;

test('nothing is shown while all is well', () => {
  assert.deepEqual(shown({ state: 'active' }), { state: 'active', text: '', offers: [] });
});

for (const state of ['expired', 'signed_out', 'revoked']) {
  test(`${state}: what goes on after a login offers one, any other app offers a new page`, () => {
    assert.deepEqual(shown({ state }), { state, text: TEXTS[state], offers: ['log_in'] });
    assert.deepEqual(shown({ state }, voila), shown({ state }));
    const text = TEXTS[`${state}_app`];
    assert.deepEqual(shown({ state }, app), { state, text, offers: ['reload'] });
  });
}

test('a page that can reconnect still needs a new page for all other troubles', () => {
  for (const state of ['kernel_ended', 'stale', 'user_changed']) {
    assert.deepEqual(shown({ state }, voila), shown({ state }, app));
    assert.deepEqual(offers(state, voila), ['reload']);
  }
});

test('a kernel that has ended: in a notebook the user restarts it', () => {
  assert.deepEqual(offers('kernel_ended'), []);
  assert.deepEqual(offers('kernel_ended', app), ['reload']);
  assert.match(shown({ state: 'kernel_ended' }, app).text, /^This app has ended/);
});

test('a server that cannot be reached can be tried', () => {
  assert.deepEqual([page(), app, nowhere].map(at => offers('unreachable', at)), [
    ['retry'],
    ['retry'],
    ['retry']
  ]);
});

test('another user: the page names the user that it belongs to', () => {
  const { text, offers: all } = shown({ state: 'user_changed', name: 'Ada {n}' }, app);
  assert.deepEqual([text, all], [
    'A different user has logged in. This page belongs to Ada {n}.',
    ['reload']
  ]);
});

test('a page without a server offers no login and no new page', () => {
  for (const state of ['expired', 'kernel_ended', 'stale']) {
    assert.deepEqual(offers(state, nowhere), []);
  }
  assert.deepEqual(offers('expiring', nowhere), ['hide']);
});

for (const [left, isGuess, text] of [
  [5 * MINUTE, false, 'Your login ends in 5 min.'],
  [31_000, false, 'Your login ends in 1 min.'],
  [29_000, false, 'Your login ends in less than a minute.'],
  [-29_000, true, 'Your login may end in less than a minute.'],
  [2 * MINUTE, true, 'Your login may end in 2 min.'],
  [undefined, undefined, 'Your login ends soon.']
]) {
  test(`${left} ms before the ${isGuess ? 'estimated' : 'exact'} end: ${text}`, () => {
    const found = { state: 'expiring', left, isGuess };
    assert.deepEqual(shown(found), { state: 'expiring', text, offers: ['log_in', 'hide'] });
  });
}

test('a hidden warning stays hidden, and hides nothing else', () => {
  assert.equal(shown({ state: 'expiring' }, page(), TEXTS, 'expiring').state, 'active');
  assert.equal(shown({ state: 'expired' }, page(), TEXTS, 'expiring').state, 'expired');
});

test('texts of others: braces are filled in, a missing one is the state', () => {
  const texts = { ...TEXTS, expiring: 'Noch {time} {x}', minutes: '{n} Minuten' };
  assert.equal(shown({ state: 'expiring', left: 2 * MINUTE }, page(), texts).text, 'Noch 2 Minuten {x}');
  assert.equal(shown({ state: 'stale' }, page(), {}).text, 'stale');
});

const ACTIVE = { state: 'active' };

for (const [what, knowledge, said, expected] of [
  ['the server knows the login', {}, 'expired', 'active'],
  ['the server only answers', { knowsLogin: false }, 'expired', 'expired'],
  ['the server only answers, and the kernel ends', { knowsLogin: false }, 'kernel_ended', 'active'],
  ['there is no server', { knowsLogin: false, canAsk: false }, 'kernel_ended', 'kernel_ended'],
  ['there is no server, and the state is none', { knowsLogin: false, canAsk: false }, 'x', 'active']
]) {
  test(`the kernel says ${said}, and ${what}: ${expected}`, () => {
    const watch = { ...page({}, knowledge), found: ACTIVE };
    assert.equal(withKernelsWord(watch, { session: said, banner: said }).state, expected);
  });
}

test('a server that can be asked: what code reports of the banner says nothing', () => {
  const watch = { ...page({}, { knowsLogin: false }), found: ACTIVE };
  assert.equal(withKernelsWord(watch, { session: 'active', banner: 'expired' }).state, 'active');
});

test('what this browser has found counts more than the kernel', () => {
  const watch = { ...nowhere, found: { state: 'unreachable' } };
  assert.equal(withKernelsWord(watch, { session: 'expired', banner: 'expired' }).state, 'unreachable');
});
