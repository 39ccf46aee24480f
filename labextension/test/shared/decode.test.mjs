import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  DecodeError,
  decodeConsents,
  decodeKernels,
  decodeLoginState,
  decodeMessage,
  decodeServerTime,
  decodeSession,
  safeAvatarUrl
} from '../../lib/shared/decode.js';
import { answer } from '../fixtures.mjs';

test('a complete answer becomes a frozen session', () => {
  const session = decodeSession(answer());
  assert.equal(session.user.displayName, 'Ada King Lovelace');
  assert.equal(session.verified, true);
  assert.ok([session, session.user, session.user.groups].every(Object.isFrozen));
});

test('fields of a newer server are ignored', () => {
  assert.deepEqual(decodeSession(answer({ state: 'active' }, { claims: {} })), decodeSession(answer()));
});

test('two answers that differ in last_seen_at alone are equal', () => {
  const later = answer({ last_seen_at: '2026-11-22T06:57:00+00:00' });
  assert.deepEqual(decodeSession(later), decodeSession(answer()));
});

test('a user without any name is called by the username', () => {
  const { user } = decodeSession(answer({}, { name: '', display_name: null, initials: null }));
  assert.deepEqual([user.name, user.displayName, user.initials], ['ada', 'ada', 'A']);
});

const spoilt = {
  'null': null,
  'a list': [],
  'text': 'ada',
  'no user': answer({ user: undefined }),
  'a user that is a list': answer({ user: [] }),
  'id is a number': answer({ id: 1 }),
  'verified is text': answer({ verified: 'true' }),
  'verified is missing': answer({ verified: undefined }),
  'authenticated_at is no time': answer({ authenticated_at: 'yesterday' }),
  'expires_at is a number': answer({ expires_at: 1763791000 }),
  'expires_at is no time': answer({ expires_at: 'never' }),
  'username is missing': answer({}, { username: undefined }),
  'groups is text': answer({}, { groups: 'analysts' }),
  'groups holds a number': answer({}, { groups: ['analysts', 1] }),
  'admin is a number': answer({}, { admin: 1 }),
  'a state that nobody knows': answer({ state: 'asleep' }),
  'degraded is text': answer({ degraded: 'no' }),
  'expiry_source is a number': answer({ expiry_source: 1 }),
  'avatar_url is an object': answer({}, { avatar_url: {} })
};

for (const [what, value] of Object.entries(spoilt)) {
  test(`refused, and only by a DecodeError: ${what}`, () => {
    assert.throws(() => decodeSession(value), DecodeError);
  });
}

test('an error names the field and never shows its value', () => {
  const value = answer({}, { groups: 'the-secret' });
  assert.throws(() => decodeSession(value), error => !error.message.includes('the-secret'));
});

for (const address of [
  'https://example.org/a.png',
  '/hub/avatars/ada.png',
  'avatars/ada.png'
]) {
  test(`loads as an avatar: ${address}`, () => assert.equal(safeAvatarUrl(address), address));
}

for (const address of [
  null,
  '',
  '  ',
  'javascript:alert(1)',
  ' JavaScript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'data:,image/png',
  'data:image/png;base64,iVBORw0KGgo=',
  'http://example.org/a.png',
  'http:a.png',
  '//example.org/a.png',
  '/\\example.org/a.png',
  '/\t/example.org/a.png',
  'blob:https://example.org/1',
  'file:///etc/passwd',
  'http://'
]) {
  test(`is dropped as an avatar: ${JSON.stringify(address)}`, () => {
    assert.equal(safeAvatarUrl(address), null);
  });
}

test('an older server says nothing of states, sources and its clock', () => {
  const { state, expirySource, degraded } = decodeSession(answer());
  assert.deepEqual([state, expirySource, degraded], ['active', '', false]);
  assert.equal(decodeServerTime(answer()), null);
});

test("the server's clock is read in milliseconds", () => {
  assert.equal(decodeServerTime(answer({ server_time: '1970-01-01T00:00:02Z' })), 2000);
});

test('sessions on no kernel are left out of the kernels', () => {
  const on = changes => answer({ kernel_id: 'k', owns_kernel: true, kernel_owner: 'ada', ...changes });
  const kernels = decodeKernels([
    answer(),
    on(),
    on({ owns_kernel: false, kernel_owner: 'grace' }),
    on({ owns_kernel: false, kernel_owner: null })
  ]);
  assert.deepEqual(kernels.map(kernel => kernel.foreignOwner), [null, 'grace', null]);
  assert.deepEqual([kernels[0].kernelId, kernels[0].username], ['k', 'ada']);
});

test('the end of a login', () => {
  for (const signed_in of [true, false]) {
    for (const state of ['signed_out', null]) {
      const expected = { isSignedIn: signed_in, end: state };
      assert.deepEqual(decodeLoginState({ signed_in, state }), expected);
    }
  }
});

for (const [what, read] of [
  ['kernels of no list', () => decodeKernels({})],
  ['kernels without a user', () => decodeKernels([{ kernel_id: 'k' }])],
  ['a time that is none', () => decodeServerTime({ server_time: 'now' })],
  ['an end without signed_in', () => decodeLoginState({ state: 'signed_out' })],
  ['an end that nobody knows', () => decodeLoginState({ signed_in: false, state: 'asleep' })],
  ['a message that is none', () => decodeMessage({ message: 1 })]
]) {
  test(`refused: ${what}`, () => assert.throws(read, DecodeError));
}

test('consents: a link leads to the web alone, and no answer is no list', () => {
  assert.equal(decodeConsents({}), null);
  assert.equal(decodeConsents({ consents: null }), null);
  const linkOf = login_url => decodeConsents({ consents: [{ service: 'trino', login_url }] })[0].link;
  for (const good of ['https://login.example.org/x?y', 'http://127.0.0.1:8/', '/user/ada/login?next=x']) {
    assert.equal(linkOf(good), good);
  }
  const bad = ['javascript:alert(1)', ' java\nscript:alert(1)', 'data:text/html,x', 'blob:x', 'vbscript:x'];
  for (const link of [...bad, 'file:///etc/passwd', 'https://[', '', ' ', null, undefined]) {
    assert.equal(linkOf(link), null, link);
  }
  assert.throws(() => decodeConsents({ consents: [{ login_url: 'https://x' }] }), DecodeError);
  assert.throws(() => decodeConsents({ consents: 'trino' }), DecodeError);
});
