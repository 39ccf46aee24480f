import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hasLogin, hasNamedLogin, isChipShown } from '../../lib/lab/chip.js';
import { decodeSession } from '../../lib/shared/decode.js';
import { answer } from '../fixtures.mjs';

const named = decodeSession(answer());
const madeUp = (changes = {}) => decodeSession(answer(changes, { is_anonymous: true }));

test('a made-up name is shown only if there is another user, or the setting wants it', () => {
  const shown = (show, session) => isChipShown(show, session, 'active');
  assert.deepEqual(
    ['auto', 'always', 'never'].map(show => shown(show, madeUp())),
    [false, true, false]
  );
  assert.equal(shown('auto', madeUp({ has_others: true })), true);
  assert.equal(shown('auto', named), true);
  assert.equal(shown('never', named), false);
});

test('without a user there is a chip only for a login that is over', () => {
  for (const show of ['auto', 'always', 'never']) {
    assert.equal(isChipShown(show, null, 'unknown'), false);
    assert.equal(isChipShown(show, null, 'expired'), show !== 'never');
  }
});

test('what cannot work is not offered', () => {
  assert.deepEqual([named, madeUp(), null].map(hasNamedLogin), [true, false, false]);
  const open = madeUp({ verified: false });
  assert.deepEqual([named, madeUp(), open, null].map(hasLogin), [true, true, false, false]);
});
