import assert from 'node:assert/strict';
import { test } from 'node:test';

import { initialsOf } from '../../lib/shared/initials.js';

const cases = [
  { given: 'AK', names: ['Ada Lovelace'], expected: 'AK', why: "the server's own win" },
  { given: '', names: ['Ada King Lovelace'], expected: 'AL', why: 'first and last word' },
  { given: '', names: ['ada'], expected: 'A', why: 'one word, upper case' },
  { given: '', names: ['ada.lovelace-king'], expected: 'AK', why: 'usernames are cut as well' },
  { given: '  ', names: ['', 'ada'], expected: 'A', why: 'the next name that has letters' },
  { given: 'ABCDEF', names: [], expected: 'AB', why: 'two at most' },
  { given: '', names: ['李小龍'], expected: '李', why: 'other scripts' },
  { given: '', names: ['e\u0301mile zola'], expected: 'E\u0301Z', why: 'accents stay on their letter' },
  { given: '', names: ['👩‍🔬 Curie'], expected: '👩‍🔬C', why: 'an emoji is not cut in two' },
  { given: '', names: ['', ' '], expected: '?', why: 'never empty' }
];

for (const { given, names, expected, why } of cases) {
  test(`${JSON.stringify([given, ...names])} gives ${expected}: ${why}`, () => {
    assert.equal(initialsOf(given, ...names), expected);
  });
}

test('a browser without Intl.Segmenter still gets initials', context => {
  const { Segmenter } = Intl;
  context.after(() => (Intl.Segmenter = Segmenter));
  delete Intl.Segmenter;
  assert.equal(initialsOf('', 'Ada Lovelace'), 'AL');
});
