import assert from 'node:assert/strict';
import { test } from 'node:test';

import { watchAnswers } from '../../lib/lab/watch.js';
import { settled } from '../fixtures.mjs';

const KERNEL = 'http://localhost/user/ada/api/kernels/a-kernel?1234';

/** A watch over a fetch with one answer, and what its judge heard. */
function watching(answer, isOver = false) {
  const heard = [];
  const original = async () => {
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  };
  const settings = { fetch: original };
  watchAnswers(settings, {
    suspect: async () => (heard.push('suspect'), isOver),
    succeed: () => heard.push('succeed')
  });
  return { heard, settings };
}

const status = (number, more = {}) => ({ status: number, ok: number < 400, type: 'basic', ...more });

for (const [what, answer, expected] of [
  ['200', status(200), ['succeed']],
  ['404', status(404), []],
  ['500', status(500), []],
  ['401', status(401), ['suspect']],
  ['403', status(403), ['suspect']],
  ['a redirect that was followed', status(200, { redirected: true }), ['suspect']],
  ['a redirect that was not', status(0, { type: 'opaqueredirect' }), ['suspect']]
]) {
  test(`passed on, and judged: ${what}`, async () => {
    const { heard, settings } = watching(answer);
    assert.equal(await settings.fetch('http://localhost/api/contents'), answer);
    assert.deepEqual(heard, expected);
  });
}

test('a failure is passed on and judged; an aborted request only passed on', async () => {
  for (const [error, expected] of [
    [new TypeError('failed'), ['suspect']],
    [new DOMException('aborted', 'AbortError'), []]
  ]) {
    const { heard, settings } = watching(error);
    await assert.rejects(settings.fetch('http://localhost/api'), reason => reason === error);
    assert.deepEqual(heard, expected);
  }
});

test('where the login is over, no kernel is said to have gone: the network failed', async () => {
  for (const input of [KERNEL, new Request(KERNEL)]) {
    await assert.rejects(watching(status(403), true).settings.fetch(input), TypeError);
  }
});

test('a refusal of a kernel for another reason stays one', async () => {
  const answer = status(403);
  assert.equal(await watching(answer, false).settings.fetch(KERNEL), answer);
});

for (const [input, init] of [
  [KERNEL, { method: 'DELETE' }],
  [new Request(KERNEL, { method: 'DELETE' })],
  ['http://localhost/api/kernels'],
  ['http://localhost/api/kernels/a-kernel/restart', { method: 'POST' }],
  ['http://localhost/api/contents/api/kernels/x/y.txt']
]) {
  test(`everybody else gets the refusal, without waiting: ${init?.method} ${input.url ?? input}`, async () => {
    const answer = status(403);
    const { settings } = watching(answer, true);
    assert.equal(await settings.fetch(input, init), answer);
  });
}
