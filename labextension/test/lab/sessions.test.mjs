import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeRows } from '../../lib/lab/sessions/decode.js';
import { personOf } from '../../lib/lab/runs/words.js';
import { cellsOf, headings, matches } from '../../lib/lab/sessions/words.js';

const trans = { __: (text, ...parts) => text.replace(/%(\d)/g, (_, at) => parts[at - 1]) };

const ALICE = {
  id: 's-alice',
  user: { username: 'alice', display_name: 'Alice Adams' },
  actor: null,
  kernel_id: '0123456789-abc',
  path: 'work/orders.ipynb',
  authenticated_at: '2026-11-28T12:00:00Z',
  last_seen_at: '2026-11-28T12:30:00Z',
  expires_at: null,
  state: 'active',
  last_cell: { cell_id: '89abcdef-0123', start: '2026-11-28T12:20:00Z' }
};
const BOB = { ...ALICE, id: 's-bob', user: { username: 'bob', display_name: null } };
const NOW = Date.parse('2026-11-28T12:31:00Z');

test('rows are in the order of their users, the latest request first; what is over is left out', () => {
  const rows = decodeRows([
    BOB,
    ...['expired', 'signed_out', 'revoked'].map(state => ({ ...ALICE, state })),
    ALICE,
    { ...ALICE, id: 'later', last_seen_at: '2026-11-28T12:45:00+00:00', state: 'expiring' }
  ]);
  assert.deepEqual(rows.map(({ id }) => id), ['later', 's-alice', 's-bob']);
});

test('an agent is named beside its person', () => {
  const [row] = decodeRows([{ ...ALICE, actor: { kind: 'agent', name: 'Report bot' } }]);
  assert.deepEqual(cellsOf(row, NOW, trans).slice(0, 3), [
    'Alice Adams (alice)',
    'Report bot',
    'work/orders.ipynb'
  ]);
  assert.equal(cellsOf(row, NOW, trans).length, headings(trans).length);
});

test('a kernel without a notebook has its id, and a login of a page has none', () => {
  const [kernel, page] = decodeRows([
    { ...ALICE, path: null },
    { ...BOB, path: null, kernel_id: null }
  ]);
  assert.equal(cellsOf(kernel, NOW, trans)[2], '01234567');
  assert.equal(cellsOf(page, NOW, trans)[2], 'No kernel');
  assert.equal(cellsOf(page, NOW, trans)[6], 'Unknown');
  assert.equal(personOf(page, trans), 'bob');
});

test('the last cell has a time and the start of its id; a script has no id, a page no cell', () => {
  const [cell, script, page, old] = decodeRows([
    ALICE,
    { ...ALICE, last_cell: { cell_id: null, start: '2026-11-28T12:20:00Z' } },
    { ...ALICE, last_cell: null },
    { ...ALICE, last_cell: undefined }
  ]).map(row => cellsOf(row, NOW, trans)[3]);
  assert.match(cell, /, cell 89abcdef$/);
  assert.equal(script, cell.split(', cell')[0]);
  assert.equal(page, '');
  assert.equal(old, '');
});

test('another day has its date', () => {
  const [row] = decodeRows([{ ...ALICE, expires_at: '2026-12-24T12:00:00Z' }]);
  assert.match(cellsOf(row, NOW, trans)[6], /2026/);
  assert.doesNotMatch(cellsOf(row, NOW, trans)[4], /2026/);
});

test('a filter has words, each of which is somewhere in the row', () => {
  const [row] = decodeRows([ALICE]);
  for (const filter of ['', ' ', 'ALICE', 'orders adams', '0123']) {
    assert.ok(matches(row, filter), filter);
  }
  for (const filter of ['bob', 'alice bob', 'null']) {
    assert.ok(!matches(row, filter), filter);
  }
});

test('nothing of an answer is believed unseen', () => {
  const wrong = [
    { id: 7 },
    { user: null },
    { user: { username: null } },
    { user: { username: 'x', display_name: 5 } },
    { actor: 'agent' },
    { actor: { name: null } },
    { kernel_id: 5 },
    { path: {} },
    { authenticated_at: null },
    { last_seen_at: 'today' },
    { expires_at: 12 },
    { state: null },
    { last_cell: 'one' },
    { last_cell: { cell_id: 5, start: ALICE.last_seen_at } },
    { last_cell: { cell_id: 'one', start: 12 } }
  ];
  for (const fields of wrong) {
    assert.throws(() => decodeRows([{ ...ALICE, ...fields }]), { name: 'DecodeError' });
  }
  assert.throws(() => decodeRows({}), { name: 'DecodeError' });
});
