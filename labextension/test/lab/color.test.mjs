import assert from 'node:assert/strict';
import { test } from 'node:test';

import { discColors } from '../../lib/lab/color.js';

/** WCAG contrast, written a second time so that the code is not its own judge. */
function contrast(one, other) {
  const luminance = hex => {
    const [r, g, b] = [1, 3, 5]
      .map(start => parseInt(hex.slice(start, start + 2), 16) / 255)
      .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [bright, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (bright + 0.05) / (dark + 0.05);
}

test('initials can be read on every colour: contrast AA over a grid of the whole cube', () => {
  const steps = Array.from({ length: 18 }, (_, index) => (index * 15).toString(16).padStart(2, '0'));
  for (const r of steps) {
    for (const g of steps) {
      for (const b of steps) {
        const { background, text } = discColors(`#${r}${g}${b}`);
        assert.ok(contrast(background, text) >= 4.5, `${background} under ${text}`);
      }
    }
  }
});

test('short and long hexadecimal colours mean the same', () => {
  assert.equal(discColors('#fc0').text, discColors('#ffcc00').text);
});

test("JupyterLab's colours for people are taken, with dark text", () => {
  assert.equal(discColors('var(--jp-collaborator-color3)').text, '#000000');
});

for (const color of [null, '', 'red', 'url(https://example.org)', '#12345', 'var(--jp-brand-color1)']) {
  test(`the theme decides where the brightness is unknown: ${color}`, () => {
    assert.equal(discColors(color), null);
  });
}
