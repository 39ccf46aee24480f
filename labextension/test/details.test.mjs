import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../lib/decode.js';
import { labelOf, rowsOf, tooltipOf } from '../lib/details.js';
import { answer } from './fixtures.mjs';

/** English, as JupyterLab's own bundle gives it: that one cannot be imported outside a browser. */
const trans = { __: (text, ...values) => text.replace(/%(\d)/g, (_, n) => values[n - 1]) };
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
  assert.equal(rows()['Login ends'], undefined);
  assert.match(rows({ expires_at: '2026-11-23T06:00:00Z' })['Login ends'], /2026/);
});

test('an administrator sees the role', () => {
  assert.deepEqual([rows().Role, rows({}, { admin: true }).Role], [undefined, 'Administrator']);
});
