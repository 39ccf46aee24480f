import assert from 'node:assert/strict';
import { test } from 'node:test';

import { QuietSaves } from '../../lib/lab/saving.js';

/** A contents manager that answers or fails in one way, wrapped; and what was asked for. */
function saving(outcome, isOver = true) {
  const asked = [];
  const answer = async (...call) => {
    asked.push(call);
    if (outcome instanceof Error) {
      throw outcome;
    }
    return outcome;
  };
  const contents = {
    get: (...call) => answer('get', ...call),
    save: (...call) => answer('save', ...call)
  };
  const saves = new QuietSaves(async () => isOver);
  saves.wrap(contents);
  return { asked, contents, saves };
}

const refused = status => Object.assign(new Error('Forbidden'), { response: new Response('', { status }) });
/** How JupyterLab asks whether a file has changed. */
const LOOK = { content: false, hash: true };

for (const status of [401, 403]) {
  test(`${status} while the login is over: the user is said to have cancelled the save`, async () => {
    const { contents, saves } = saving(refused(status));
    await assert.rejects(contents.get('a.ipynb', LOOK), { name: 'ModalCancelError' });
    await assert.rejects(contents.save('a.ipynb', {}), { name: 'ModalCancelError' });
    assert.equal(saves.cancelled, 2);
  });
}

for (const [what, reason, isOver] of [
  ['a login that is good', refused(403), false],
  ['a missing file', refused(404), true],
  ['a network failure', new TypeError('failed'), true]
]) {
  test(`JupyterLab reports ${what} itself`, async () => {
    const { contents, saves } = saving(reason, isOver);
    await assert.rejects(contents.save('a.ipynb', {}), error => error === reason);
    await assert.rejects(contents.get('a.ipynb', LOOK), error => error === reason);
    assert.equal(saves.cancelled, 0);
  });
}

test('reading a file is no save', async () => {
  const reason = refused(403);
  const { contents, saves } = saving(reason);
  await assert.rejects(contents.get('a.ipynb', { content: true }), error => error === reason);
  await assert.rejects(contents.get('a.ipynb'), error => error === reason);
  assert.equal(saves.cancelled, 0);
});

test('what succeeds is passed on as it is', async () => {
  const { asked, contents } = saving('model');
  assert.equal(await contents.get('a.ipynb', LOOK), 'model');
  assert.equal(await contents.save('a.ipynb', { type: 'notebook' }), 'model');
  assert.deepEqual(asked, [
    ['get', 'a.ipynb', LOOK],
    ['save', 'a.ipynb', { type: 'notebook' }]
  ]);
});
