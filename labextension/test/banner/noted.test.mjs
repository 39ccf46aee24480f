import assert from 'node:assert/strict';
import { test } from 'node:test';

import { madeUpOf, notesOf, refusalOf } from '../../lib/banner/noted.js';
import { TEXTS } from '../../lib/banner/texts.js';

const of = (consents, madeUp = null, texts = TEXTS) => notesOf(consents, madeUp, texts);

test('one note for each service, with the page where the user agrees', () => {
  const [trino, mail, odd] = of([
    { service: 'trino', link: 'https://login.example.org/' },
    { service: 'mail', link: '/login?next=x' },
    { service: 'x'.repeat(128), link: null }
  ]);
  assert.equal(trino.text, 'The service “trino” needs your consent.');
  assert.deepEqual(trino.link, { text: 'Give consent', href: 'https://login.example.org/' });
  assert.deepEqual(mail.link, { text: 'Log in again', href: '/login?next=x' });
  assert.equal(odd.link, null);
  assert.equal(odd.label.length, 40);
  assert.ok([trino, mail, odd].every(({ canHide }) => canHide));
});

test('a made-up user comes first, and cannot be hidden', () => {
  const madeUp = madeUpOf({ user: 'ada', by: 'JUPYTER_SESSION_USER_FAKE' });
  const [first, second] = of([{ service: 'trino', link: null }], madeUp);
  assert.match(first.text, /^Made-up user “ada” \(JUPYTER_SESSION_USER_FAKE\)/);
  assert.equal(first.canHide, false);
  assert.equal(second.kind, 'consent');
});

test('what a kernel says about a made-up user counts only if it is one', () => {
  for (const value of [undefined, null, {}, 'ada', { user: 'ada' }, { user: 1, by: 'x' }]) {
    assert.equal(madeUpOf(value), null);
  }
});

test('texts that code replaces: words in braces are not filled in twice', () => {
  const texts = { ...TEXTS, made_up: '{user}: {by}, {other}' };
  const [note] = of([], { user: '{by}', by: 'x' }, texts);
  assert.equal(note.text, '{by}: x, {other}');
});

const refused = (traceback, ename = 'AccessDenied', msg_type = 'error') => ({
  header: { msg_type },
  content: { ename, evalue: 'long', traceback }
});

test('only the error of a refused callback is one', () => {
  assert.equal(refusalOf(refused(['You may not.'])), 'You may not.');
  for (const message of [
    undefined,
    null,
    {},
    { header: null, content: null },
    refused(['a', 'b']),
    refused([1]),
    refused([]),
    refused('You may not.'),
    refused(['You may not.'], 'ValueError'),
    refused(['You may not.'], 'AccessDenied', 'stream')
  ]) {
    assert.equal(refusalOf(message), null);
  }
});

test('a refusal comes before the services; another one has another key', () => {
  const consent = { service: 'trino', link: null };
  const [first, second] = notesOf([consent], null, TEXTS, { text: 'No.', count: 1 });
  assert.deepEqual([first.kind, first.text, first.canHide], ['refused', 'No.', true]);
  assert.equal(second.kind, 'consent');
  const [again] = notesOf([], null, TEXTS, { text: 'No.', count: 2 });
  assert.notEqual(first.key, again.key);
});
