import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../../lib/shared/decode.js';
import * as words from '../../lib/lab/words.js';
import { answer, trans } from '../fixtures.mjs';

const named = (display_name, changes = {}) => decodeSession(answer(changes, { display_name }));

test('every end has a label and a notice of its own', () => {
  const states = ['expired', 'signed_out', 'revoked'];
  for (const say of [words.overLabel, words.overNotice]) {
    assert.equal(new Set(states.map(state => say(state, trans))).size, 3);
  }
});

test('nothing is longer than what JupyterLab shows', () => {
  const long = named('x'.repeat(500));
  const said = [
    ...['expired', 'signed_out', 'revoked'].map(state => words.overNotice(state, trans)),
    words.healedNotice(long, trans),
    words.userChangedNotice({ before: long, session: long, wasOver: true }, trans)
  ];
  for (const text of said) {
    assert.ok(text.length <= 140, `${text.length}: ${text}`);
  }
});

test('a guess is called one', () => {
  const warn = (source, left) =>
    words.warningNotice(named('Ada', { expiry_source: source }), left, trans);
  assert.equal(warn('jwt', 300_000), 'Your login ends in 5 minutes.');
  assert.equal(warn('jwt', 40_000), 'Your login ends in a minute.');
  assert.equal(warn('estimated', 120_000), 'Your login may end in 2 minutes.');
});

test('a changed user is told whose work it is', () => {
  const change = { before: named('Ada'), session: named('Grace'), wasOver: true };
  assert.match(words.userChangedNotice(change, trans), /^You are Grace.*belong to Ada/);
});
