import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeSession } from '../../lib/shared/decode.js';
import { SessionUserModel } from '../../lib/lab/model.js';
import { answer, fakeClock } from '../fixtures.mjs';

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

const END = Date.parse('2026-11-22T12:00:00Z');
const MINUTE = 60_000;
const over = (state = 'expired') => ({ kind: 'over', state });
const named = (username, id = username) => present({ id }, { username });

/** A login with an exact end, told at a time of the server's clock. */
function ending(serverTime, changes = {}) {
  const expires_at = new Date(END).toISOString();
  return { ...present({ expires_at, expiry_source: 'jwt', ...changes }), serverTime };
}

/** A model with a clock of the browser that is wrong by hours, and what it said. */
function watched(context, ...script) {
  const client = fakeClient(...script);
  const clock = fakeClock();
  const model = new SessionUserModel({ client, clock, autoStart: false });
  context.after(() => model.dispose());
  const said = [];
  model.stateChanged.connect((_, state) => said.push(state));
  model.returned.connect((_, change) =>
    said.push(`${change.before.user.username}, then ${change.session.user.username}`)
  );
  return { client, clock, model, said };
}

for (const state of ['expired', 'signed_out', 'revoked']) {
  test(`a login that is over (${state}), and good again`, async context => {
    const { model, said } = watched(context, named('ada'), over(state), named('ada', 'new'));
    await model.refresh();
    await model.refresh();
    assert.equal(model.session, null);
    await model.refresh();
    assert.deepEqual(said, ['active', state, 'active', 'ada, then ada']);
  });
}

test('who comes back is compared with who was there before the end', async context => {
  const script = [named('ada'), over(), over('signed_out'), named('grace')];
  const { model, said } = watched(context, ...script);
  for (const _ of script) {
    await model.refresh();
  }
  assert.deepEqual(said, ['active', 'expired', 'signed_out', 'active', 'ada, then grace']);
});

test('another login without an end in between is told too', async context => {
  const { model } = watched(context, named('ada'), named('ada', 'new'));
  const changes = [];
  model.returned.connect((_, { wasOver }) => changes.push(wasOver));
  await model.refresh();
  await model.refresh();
  assert.deepEqual(changes, [false]);
});

test('a page that never knew anybody says nothing of an end', async context => {
  const { model, said } = watched(context, over());
  await model.refresh();
  assert.deepEqual([model.state, said], ['unknown', []]);
});

test('a session that the server calls over is over, whoever still may ask', async context => {
  const { model, said } = watched(context, named('ada'), present({ state: 'expired' }));
  await model.refresh();
  await model.refresh();
  assert.deepEqual([model.state, said], ['expired', ['active', 'expired']]);
});

test('a server that cannot be reached ends nothing, and nobody returns from it', async context => {
  const unreachable = { kind: 'unreachable' };
  const { model, said } = watched(context, named('ada'), unreachable, named('ada'));
  await model.refresh();
  await model.refresh();
  assert.equal(model.session.user.username, 'ada');
  await model.refresh();
  assert.deepEqual(said, ['active', 'unreachable', 'active']);
});

test('a login that is over stays so while the server cannot be reached', async context => {
  const { model } = watched(context, named('ada'), over(), { kind: 'unreachable' });
  await model.refresh();
  await model.refresh();
  await model.refresh();
  assert.equal(model.state, 'expired');
});

test("it warns in time by the server's clock, and asks at the end", async context => {
  const answers = [60, 5, 0].map(minutes => ending(END - minutes * MINUTE));
  const { client, clock, model, said } = watched(context, ...answers.slice(0, 2), over());
  await model.refresh();
  assert.equal(model.left, 60 * MINUTE);
  await clock.pass(54 * MINUTE);
  assert.deepEqual([client.asked, said], [1, ['active']]);
  await clock.pass(2 * MINUTE);
  assert.deepEqual([client.asked, said], [2, ['active', 'expiring']]);
  await clock.pass(5 * MINUTE);
  assert.deepEqual([client.asked, said], [3, ['active', 'expiring', 'expired']]);
  assert.equal(clock.waiting, 0);
});

test('an end that was put off is no end', async context => {
  const later = new Date(END + 60 * MINUTE).toISOString();
  const renewed = ending(END - 4 * MINUTE, { expires_at: later });
  const { clock, model, said } = watched(context, ending(END - 4 * MINUTE), renewed);
  await model.refresh();
  assert.equal(model.state, 'expiring');
  await clock.pass(5 * MINUTE);
  assert.deepEqual(said, ['expiring', 'active']);
});

test('the settings decide when to warn', async context => {
  const { model, said } = watched(context, ending(END - 20 * MINUTE));
  await model.refresh();
  model.configure(60, 30);
  model.configure(60, 0);
  assert.deepEqual(said, ['active', 'expiring', 'active']);
});

test('many who ask at once are one question', async context => {
  const { client, model } = watched(context, named('ada'), over());
  await model.refresh();
  const states = await Promise.all([model.check(), model.check(), model.check()]);
  assert.deepEqual([client.asked, states], [2, ['expired', 'expired', 'expired']]);
});

test('a question from before the end is followed by one more', async context => {
  const { client, model } = watched(context, named('ada'), named('ada'), over());
  await model.refresh();
  const states = await Promise.all([model.check(), model.check(), model.check()]);
  assert.deepEqual([client.asked, states], [3, ['active', 'expired', 'expired']]);
});

test('an answer to anybody makes it ask only where something was wrong', async context => {
  const { client, model } = watched(context, named('ada'), over(), named('ada'));
  await model.refresh();
  await model.noteSuccess();
  assert.equal(client.asked, 1);
  await model.refresh();
  await Promise.all([model.noteSuccess(), model.noteSuccess()]);
  assert.deepEqual([client.asked, model.state], [3, 'active']);
});

test("kernels are one's own, each once", async context => {
  const { client, model } = watched(context, named('ada'));
  const on = (kernelId, username) => ({ kernelId, username, foreignOwner: null });
  client.kernels = async () => [on('1', 'ada'), on('2', 'grace'), on('1', 'ada')];
  await model.refresh();
  assert.deepEqual((await model.kernels()).map(kernel => kernel.kernelId), ['1']);
});

test('signing out everywhere is followed by a question; a refusal is passed on', async context => {
  const { client, model } = watched(context, named('ada'), over('revoked'));
  await model.refresh();
  client.signOutEverywhere = async () => undefined;
  await model.signOutEverywhere();
  assert.equal(model.state, 'revoked');
  client.signOutEverywhere = () => Promise.reject(new Error('no'));
  await assert.rejects(model.signOutEverywhere(), /no/);
});

test('dispose leaves no timer behind', async context => {
  const { clock, model } = watched(context, ending(END - 20 * MINUTE));
  await model.refresh();
  assert.equal(clock.waiting, 1);
  model.dispose();
  model.configure(60, 5);
  assert.equal(clock.waiting, 0);
});

test('an idle end that no answer shows yet is asked about when it comes near', async context => {
  const soon = { ...present(), changesIn: 10_000 };
  const { client, clock, model, said } = watched(context, soon, over());
  model.configure(60, 5);
  await model.refresh();
  await clock.pass(9900);
  assert.deepEqual([client.asked, said], [1, ['active']]);
  await clock.pass(500);
  assert.deepEqual([client.asked, said], [2, ['active', 'expired']]);
});

test('services that wait are emitted when they change, and are gone with the login', async context => {
  const trino = [{ service: 'trino', link: null }];
  const { model } = started(
    context,
    { ...present(), consents: trino },
    { ...present(), consents: [...trino] },
    { kind: 'over', state: 'expired' }
  );
  const emitted = [];
  model.consentsChanged.connect((_, consents) => emitted.push(consents));
  for (let n = 0; n < 3; n++) {
    await model.refresh();
  }
  assert.deepEqual(emitted, [trino, []]);
});
