import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../../lib/shared/decode.js';
import { kernelLines, labelOf, rowsOf, tooltipOf } from '../../lib/lab/details.js';
import { answer, trans } from '../fixtures.mjs';

const session = (...changes) => decodeSession(answer(...changes));
const rows = (...changes) => Object.fromEntries(rowsOf(session(...changes), trans));

test('the accessible name contains the name on show', () => {
  assert.equal(labelOf(session(), trans), 'Logged in as Ada King Lovelace');
});

test('the tooltip says username and verification', () => {
  const tooltip = tooltipOf(session(), trans);
  assert.match(tooltip, /Username: ada/);
  assert.match(tooltip, /Verified by the server/);
  assert.doesNotMatch(tooltip, /made one up/);
  assert.match(tooltipOf(session({ verified: false }), trans), /Not verified/);
});

test('of a name that Jupyter made up, no random digits are shown and nothing is verified', () => {
  const username = '0123456789abcdef0123456789abcdef';
  for (const verified of [true, false]) {
    const changes = [{ verified }, { username, is_anonymous: true, display_name: 'Anonymous Io' }];
    const all = [tooltipOf(session(...changes), trans), ...Object.values(rows(...changes))].join();
    assert.doesNotMatch(all, /verified|[0-9a-f]{32}/i);
    assert.match(all, /Anonymous Io[^]*Jupyter made one up/);
    assert.deepEqual([rows(...changes).Username, rows(...changes).Groups], [undefined, undefined]);
  }
});

test('nobody is told that they are in no group by an empty line', () => {
  assert.equal(rows({}, { groups: [] }).Groups, 'None');
});

test('the end of the login is shown where it is known', () => {
  const expires_at = '2026-11-23T06:00:00Z';
  assert.equal(rows()['Login ends'], 'Unknown');
  assert.match(rows({ expires_at, expiry_source: 'jwt' })['Login ends'], /^(?!About).*2026/);
  assert.match(rows({ expires_at, expiry_source: 'estimated' })['Login ends'], /^About .*2026/);
});

test('an administrator sees the role', () => {
  assert.deepEqual([rows().Role, rows({}, { admin: true }).Role], [undefined, 'Administrator']);
});

test('a login that could not be checked says so', () => {
  assert.equal(rows().Note, undefined);
  assert.match(rows({ degraded: true }).Note, /could not be checked/);
});

test('trouble is part of the accessible name, after who it is', () => {
  assert.equal(labelOf(session(), trans, 'active'), 'Logged in as Ada King Lovelace');
  assert.match(labelOf(session(), trans, 'unreachable'), /^Logged in as Ada.*cannot be reached/);
  assert.match(labelOf(session(), trans, 'expiring'), /^Logged in as Ada.*ends soon/);
});

test('kernels are called by their notebook, and somebody else who started one is named', () => {
  const kernel = (kernelId, foreignOwner = null) => ({ kernelId, username: 'ada', foreignOwner });
  const nameOf = id => ({ one: 'a.ipynb' })[id];
  const lines = kernelLines([kernel('one', 'grace'), kernel('0123456789')], nameOf, trans);
  assert.deepEqual(lines, ['a.ipynb (started by grace)', '01234567']);
  const [line] = kernelLines([kernel('one', 'ab'.repeat(16))], nameOf, trans);
  assert.equal(line, 'a.ipynb (started by another user)');
  assert.deepEqual(kernelLines([], nameOf, trans), ['None']);
});
