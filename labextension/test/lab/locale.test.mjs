import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const here = path => new URL(path, import.meta.url);
const LOCALES = here('../../../jupyter_session_user/locale/');
/** JupyterLab shows no more of a notification; a name has 40 characters at most. */
const MAX_MESSAGE = 140;
const NAME = 'x'.repeat(40);

/** What the sources give to a translator: the key, and its plural if it has one. */
function texts() {
  const files = readdirSync(here('../../src/lab/'), { recursive: true })
    .filter(name => name.endsWith('.ts'))
    .map(name => here(`../../src/lab/${name}`));
  const found = new Map();
  for (const file of [...files, here('../../src/shared/words.ts')]) {
    const source = readFileSync(file, 'utf8');
    for (const [, one] of source.matchAll(/trans\.__\(\s*'([^']+)'/g)) {
      found.set(one, null);
    }
    for (const [, one, many] of source.matchAll(/trans\._n\(\s*'([^']+)',\s*'([^']+)'/g)) {
      found.set(one, many);
    }
  }
  return found;
}

const blanks = text => (text.match(/%\d/g) ?? []).sort().join();
const keys = texts();

test('the sources have texts', () => {
  assert.ok(keys.size > 40);
  assert.equal(keys.get('Your login ends in a minute.'), 'Your login ends in %1 minutes.');
});

for (const locale of readdirSync(LOCALES)) {
  const file = new URL(`${locale}/LC_MESSAGES/jupyter_session_user.json`, LOCALES);
  const { '': about, ...all } = JSON.parse(readFileSync(file, 'utf8'));

  test(`${locale}: every text is translated, and none that is gone`, () => {
    assert.deepEqual(Object.keys(all).sort(), [...keys.keys()].sort());
    assert.equal(about.domain, 'jupyter_session_user');
    assert.equal(about.language, locale.replace('_', '-'));
  });

  test(`${locale}: names and numbers have a place, in each plural form`, () => {
    const forms = Number(/nplurals=(\d)/.exec(about.plural_forms)[1]);
    for (const [one, many] of keys) {
      assert.equal(all[one].length, many === null ? 1 : forms, one);
      assert.equal(blanks(all[one].at(-1)), blanks(many ?? one), one);
      assert.ok(all[one].every(text => text.trim() !== ''), one);
    }
  });

  test(`${locale}: notifications are short enough`, () => {
    for (const text of Object.values(all).flat()) {
      assert.ok(text.replace(/%\d/g, NAME).length <= MAX_MESSAGE, text);
    }
  });
}
