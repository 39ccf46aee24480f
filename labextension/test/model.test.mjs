import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../lib/decode.js';
import { SessionUserModel } from '../lib/model.js';
import { answer } from './fixtures.mjs';

const present = (...changes) => ({ kind: 'present', session: decodeSession(answer(...changes)) });

/** Let the poll, which works in later ticks, come to the point where `ready()` holds. */
async function until(ready) {
  while (!ready()) {
    await new Promise(resolve => setTimeout(resolve, 1));
  }
}

/** A client that gives the scripted answers in turn, the last one for ever; an Error rejects. */
function fakeClient(...script) {
  return {
    asked: 0,
    async whoAmI() {
      const next = script[Math.min(this.asked++, script.length - 1)];
      if (next instanceof Error) {
        throw next;
      }
      return next;
    }
  };
}

/** A model that asks only when told to, with the list of what it emitted. */
function started(context, ...script) {
  const client = fakeClient(...script);
  const model = new SessionUserModel({ client, autoStart: false });
  context.after(() => model.dispose());
  const emitted = [];
  model.changed.connect((_, session) => emitted.push(session?.user.username ?? null));
  return { client, model, emitted };
}

test('nobody is known before the first answer', context => {
  assert.equal(started(context, present()).model.session, null);
});

test('an answer is held and emitted', async context => {
  const { model, emitted } = started(context, present());
  await model.refresh();
  assert.equal(model.session.user.username, 'ada');
  assert.deepEqual(emitted, ['ada']);
});

test('an equal answer emits nothing', async context => {
  const { model, emitted, client } = started(context, present(), present());
  await model.refresh();
  await model.refresh();
  assert.deepEqual([client.asked, emitted], [2, ['ada']]);
});

test('a change deep inside emits', async context => {
  const { model, emitted } = started(context, present(), present({}, { groups: ['other'] }));
  await model.refresh();
  await model.refresh();
  assert.deepEqual(emitted, ['ada', 'ada']);
});

for (const kind of ['absent', 'refused']) {
  test(`a server that answers "${kind}" leaves nobody on show`, async context => {
    const { model, emitted } = started(context, present(), { kind });
    await model.refresh();
    await model.refresh();
    assert.equal(model.session, null);
    assert.deepEqual(emitted, ['ada', null]);
  });
}

test('a server that could not decide changes nothing', async context => {
  const { model, emitted } = started(context, present(), new Error('502'));
  await model.refresh();
  await model.refresh();
  assert.equal(model.session.user.username, 'ada');
  assert.deepEqual(emitted, ['ada']);
});

test('an answer that was overtaken does not bring back an old user', async context => {
  const pending = [];
  const client = { whoAmI: () => new Promise(resolve => pending.push(resolve)) };
  const model = new SessionUserModel({ client });
  context.after(() => model.dispose());
  await until(() => pending.length === 1);
  const refreshed = model.refresh();
  await until(() => pending.length === 2);
  pending[1](present({}, { username: 'grace' }));
  pending[0](present());
  await refreshed;
  assert.equal(model.session.user.username, 'grace');
});

test('it starts to ask by itself', async context => {
  const model = new SessionUserModel({ client: fakeClient(present()) });
  context.after(() => model.dispose());
  await new Promise(resolve => model.changed.connect(resolve));
  assert.equal(model.session.user.username, 'ada');
});

test('dispose can be called twice and ends questions and signals', async context => {
  const { model, emitted, client } = started(context, present());
  model.dispose();
  model.dispose();
  await model.refresh();
  assert.deepEqual([model.isDisposed, client.asked, emitted], [true, 0, []]);
});

test('an answer that arrives after dispose is dropped', async context => {
  let answerNow;
  const client = { whoAmI: () => new Promise(resolve => (answerNow = resolve)) };
  const model = new SessionUserModel({ client, autoStart: false });
  context.after(() => model.dispose());
  const refreshed = model.refresh();
  await until(() => answerNow !== undefined);
  model.dispose();
  answerNow(present());
  await refreshed;
  assert.equal(model.session, null);
});
