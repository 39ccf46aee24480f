import assert from 'node:assert/strict';
import { test } from 'node:test';

import { placeOf } from '../../lib/banner/place.js';

const place = (address, config = null, { given = '', isVoila = false } = {}) =>
  placeOf(given, new URL(address), config, isVoila);
const LAB = { baseUrl: '/user/ada/', token: 'secret' };

test("JupyterLab's page names its server and its token, and is no app", () => {
  assert.deepEqual(place('https://hub/user/ada/lab', LAB), {
    base: 'https://hub/user/ada/',
    token: 'secret',
    isApp: false,
    kernelId: ''
  });
});

test("Voila's page is an app with a kernel", () => {
  const config = { baseUrl: '/', kernelId: 'k' };
  const { isApp, kernelId } = place('https://hub/voila/render/a', config, { isVoila: true });
  assert.deepEqual([isApp, kernelId], [true, 'k']);
});

for (const [address, base] of [
  ['https://hub/user/ada/panel-preview/render/a.py', 'https://hub/user/ada/'],
  ['https://hub/voila/render/a', 'https://hub/'],
  ['https://hub/app', null],
  ['file:///home/ada/voila/render', null]
]) {
  test(`without a configuration, ${address} is an app of ${base}`, () => {
    assert.deepEqual(place(address), { base, token: '', isApp: true, kernelId: '' });
  });
}

test('what code gives counts more, and gets no token', () => {
  const { base, token } = place('https://hub/lab', LAB, { given: '/other' });
  assert.deepEqual([base, token], ['https://hub/other/', '']);
});
