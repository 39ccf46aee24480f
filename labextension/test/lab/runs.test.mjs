import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeRecorded, decodeRuns, encodeRun } from '../../lib/lab/runs/decode.js';
import { RunFeed } from '../../lib/lab/runs/feed.js';
import { durationOf, labelOf, timeOf } from '../../lib/lab/runs/words.js';

const NOON = new Date(2026, 10, 28, 12, 0, 0).getTime();
const trans = { __: (text, ...parts) => text.replace(/%(\d)/g, (_, at) => parts[at - 1]) };

const BOB = {
  username: 'bob',
  display_name: 'Bob Brown',
  initials: null,
  color: '#336699',
  verified: true,
  agent: null
};
const RUN = { cell_id: 'one', who: BOB, start: NOON / 1000, end: NOON / 1000 + 1.2, status: 'ok' };
const only = run => decodeRuns({ shared: true, version: 1, runs: [{ ...RUN, ...run }] }).runs[0];
const said = run => labelOf(only(run), NOON, trans);

/** Time that passes when the test says so. */
function makeClock() {
  const due = new Set();
  return {
    now: () => NOON,
    after: (wait, callback) => {
      const one = { wait, callback };
      due.add(one);
      return () => due.delete(one);
    },
    waits: () => [...due].map(({ wait }) => wait),
    /** All that is due now, and the answers to it. */
    async pass() {
      for (const one of [...due]) {
        due.delete(one);
        one.callback();
      }
      await new Promise(resolve => setTimeout(resolve));
    }
  };
}

/** A server of which the test says what it answers. */
function makeServer(...answers) {
  const asked = [];
  return {
    asked,
    ask: async path => {
      asked.push(path);
      const { status = 200, ...body } = answers.length > 1 ? answers.shift() : answers[0];
      return new Response(status === 200 ? JSON.stringify(body) : '{}', { status });
    }
  };
}

async function feedOf(...answers) {
  const [clock, server] = [makeClock(), makeServer(...answers)];
  let changes = 0;
  const feed = new RunFeed('k', server.ask, clock, () => (changes += 1));
  await clock.pass();
  return { clock, server, feed, changes: () => changes };
}

test('a run is said with the person, the time, the length and how it ended', () => {
  assert.equal(said({}), 'Run by Bob Brown (bob) at 12:00, took 1.2 s');
  assert.match(said({ status: 'error' }), /took 1\.2 s, failed$/);
  assert.match(said({ end: null, status: null }), /^Sent by .*, has not ended$/);
  assert.equal(said({ end: null, status: 'unseen' }), 'Run by Bob Brown (bob) at 12:00');
  assert.equal(said({ who: null }), 'Run by an unknown user at 12:00, took 1.2 s');
  assert.match(said({ who: { ...BOB, verified: false } }), /, name not verified$/);
  assert.match(said({ who: { ...BOB, display_name: 'bob' } }), /^Run by bob at/);
});

test('an agent is never said as its person, and its person is always said', () => {
  const who = { ...BOB, agent: 'Alice Adams' };
  assert.match(said({ who }), /^Run by agent “Alice Adams” for Bob Brown \(bob\) at 12:00/);
});

test('a name of two persons is told apart by the username, and no name changes the line', () => {
  const [one, other] = ['bob', 'eve'].map(username => said({ who: { ...BOB, username } }));
  assert.notEqual(one, other);
  const tricky = said({ who: { ...BOB, display_name: 'Bob\n\u202eecilA' + 'x'.repeat(500) } });
  assert.ok(!/[\n\u202e]/.test(tricky));
  assert.ok(tricky.length < 200);
});

test('times are short: of today the time of day, else the date', () => {
  assert.equal(timeOf(NOON, NOON), '12:00');
  assert.ok(!timeOf(NOON - 86_400_000, NOON).includes(':'));
  assert.equal(durationOf(-5, trans), '0 s');
  assert.equal(durationOf(59_990, trans), '1 min 0 s');
  assert.equal(durationOf(3_725_000, trans), '1 h 2 min');
});

test('what is no answer is refused', () => {
  for (const answer of [null, [], {}, { shared: 1, version: 1, runs: [] }]) {
    assert.throws(() => decodeRuns(answer));
  }
  assert.throws(() => only({ who: { ...BOB, username: 7 } }));
  assert.throws(() => only({ start: 'now' }));
});

test('what a notebook says is shown as such, never as verified, and no garbage breaks it', () => {
  const kept = decodeRecorded('one', { ...encodeRun(only({})), isRecorded: false });
  assert.equal(kept.isRecorded, true);
  assert.equal(kept.who.verified, false);
  assert.match(labelOf(kept, NOON, trans), /Bob Brown \(bob\).*not verified$/);
  const claims = decodeRecorded('one', { who: { ...BOB }, start: 1, end: 2, status: 'ok' });
  assert.equal(claims.who.verified, false);
  for (const value of [undefined, null, 1, 'x', {}, { who: 1 }, { who: {}, start: 1 }]) {
    assert.equal(decodeRecorded('one', value), null);
  }
  assert.equal(decodeRecorded('one', { who: null, start: 1e300, end: null, status: 'ok' }), null);
  assert.ok(!JSON.stringify(encodeRun(only({}))).includes('#336699'));
});

test('alone, running a cell asks the server nothing; of another connection it does', async () => {
  const { clock, server, feed } = await feedOf({ shared: false, version: 0, runs: [] });
  assert.equal(server.asked.length, 1);
  feed.hint(true, 'auto');
  assert.deepEqual(clock.waits(), []);
  feed.hint(false, 'auto');
  await clock.pass();
  feed.hint(true, 'always');
  await clock.pass();
  assert.equal(server.asked.length, 3);
});

test('many hints are one question, and one during a question is one more', async () => {
  const { clock, server, feed } = await feedOf({ shared: true, version: 1, runs: [RUN] });
  for (let n = 0; n < 100; n++) {
    feed.hint(true, 'auto');
  }
  assert.equal(clock.waits().length, 1);
  const passing = clock.pass();
  feed.hint(true, 'auto');
  await passing;
  await clock.pass();
  assert.deepEqual(server.asked.slice(1), Array(2).fill(server.asked[1]));
  assert.match(server.asked[1], /runs\?after=1$/);
});

test('an aborted run is taken back, and only what changed is drawn', async () => {
  const { clock, feed, changes } = await feedOf(
    { shared: true, version: 1, runs: [RUN] },
    { shared: true, version: 1, runs: [] },
    { shared: true, version: 2, runs: [{ ...RUN, status: 'aborted' }] }
  );
  assert.equal(feed.of('one').who.username, 'bob');
  feed.hint(true, 'auto');
  await clock.pass();
  assert.equal(changes(), 1);
  feed.hint(true, 'auto');
  await clock.pass();
  assert.equal(feed.of('one'), undefined);
});

test('while a cell runs the feed looks again by itself, ever less often', async () => {
  const { clock } = await feedOf({
    shared: true,
    version: 1,
    runs: [{ ...RUN, end: null, status: null }]
  });
  const waits = [];
  for (let n = 0; n < 14; n++) {
    waits.push(...clock.waits());
    await clock.pass();
  }
  const looks = waits.filter(wait => wait > 0);
  assert.deepEqual(looks, [2, 4, 8, 16, 32, 60, 60].map(seconds => seconds * 1000));
});

test('the names leave the page with the login, and a restarted server is believed', async () => {
  const { clock, server, feed } = await feedOf(
    { shared: true, version: 9, runs: [RUN] },
    { status: 403 },
    { shared: true, version: 9, runs: [RUN] },
    { shared: true, version: 2, runs: [] }
  );
  const next = async () => {
    feed.hint(false, 'auto');
    await clock.pass();
  };
  await next();
  assert.equal(feed.of('one'), undefined);
  await next();
  assert.match(server.asked[2], /after=0$/);
  assert.equal(feed.of('one').who.username, 'bob');
  await next();
  assert.equal(feed.of('one'), undefined);
});

test('a server without the address is asked once', async () => {
  const { clock, server, feed } = await feedOf({ status: 404 });
  feed.hint(false, 'always');
  await clock.pass();
  assert.equal(server.asked.length, 1);
});
