import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../../lib/shared/decode.js';
import { kernelLines, labelOf, rowsOf, tooltipOf } from '../../lib/lab/details.js';
import { answer, trans } from '../fixtures.mjs';

const session = (...changes) => decodeSession(answer(...changes));
const rows = (...changes) => Object.fromEntries(rowsOf(session(...changes), trans));

test('the accessible name contains the name on show', () => {
  assert.equal(labelOf(session(), trans), 'Signed in as Ada King Lovelace');
});

test('the tooltip says username and verification', () => {
  const tooltip = tooltipOf(session(), trans);
  assert.match(tooltip, /Username: ada/);
  assert.match(tooltip, /Verified by the server/);
  assert.doesNotMatch(tooltip, /Anonymous/);
});

test('a user that Jupyter made up is called anonymous', () => {
  const changes = [{ verified: false }, { is_anonymous: true }];
  assert.match(tooltipOf(session(...changes), trans), /Not verified[^]*Anonymous/);
  assert.match(rows(...changes).Identity, /Not verified.*Anonymous/);
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
  assert.equal(labelOf(session(), trans, 'active'), 'Signed in as Ada King Lovelace');
  assert.match(labelOf(session(), trans, 'unreachable'), /^Signed in as Ada.*cannot be reached/);
  assert.match(labelOf(session(), trans, 'expiring'), /^Signed in as Ada.*ends soon/);
});

test('kernels are called by their notebook, and somebody else who started one is named', () => {
  const kernel = (kernelId, foreignOwner = null) => ({ kernelId, username: 'ada', foreignOwner });
  const nameOf = id => ({ one: 'a.ipynb' })[id];
  const lines = kernelLines([kernel('one', 'grace'), kernel('0123456789')], nameOf, trans);
  assert.deepEqual(lines, ['a.ipynb (started by grace)', '01234567']);
  assert.deepEqual(kernelLines([], nameOf, trans), ['None']);
});
