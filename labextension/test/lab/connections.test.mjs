import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Signal } from '@lumino/signaling';

import { Connections } from '../../lib/lab/connections.js';

class Connection {
  isDisposed = false;
  reconnected = 0;
  connectionStatusChanged = new Signal(this);
  constructor(fails) {
    this.fails = fails;
  }
  says(...states) {
    states.forEach(state => this.connectionStatusChanged.emit(state));
  }
  async reconnect() {
    this.reconnected++;
    if (this.fails) {
      throw new Error('no');
    }
  }
}

class Manager {
  made = [];
  connectTo(fails) {
    this.made.push(new Connection(fails));
    return this.made.at(-1);
  }
}

test('all are connected anew, whoever made them; the dead rest, and one failure stops nobody', async () => {
  const connections = new Connections();
  const managers = [new Manager(), new Manager()];
  managers.forEach(manager => connections.follow(manager));
  const [failing, gone, good] = [
    managers[0].connectTo(true),
    managers[0].connectTo(false),
    managers[1].connectTo(false)
  ];
  gone.isDisposed = true;
  connections.age();
  await connections.renew();
  await connections.renew();
  assert.deepEqual([failing, gone, good].map(one => one.reconnected), [2, 0, 2]);
});

test('a connection that throws at once stops nobody', async () => {
  const connections = new Connections();
  const manager = new Manager();
  connections.follow(manager);
  const [one, other] = [manager.connectTo(), manager.connectTo()];
  one.reconnect = () => {
    throw new Error('disposed');
  };
  connections.age();
  await connections.renew();
  assert.equal(other.reconnected, 1);
});

test('a handshake after the end of the login is not repeated: a cell may run there', async () => {
  const connections = new Connections();
  const manager = new Manager();
  connections.follow(manager);
  const [fresh, late, waiting, lost] = [1, 2, 3, 4].map(() => manager.connectTo());
  late.says('connecting');
  connections.age();
  fresh.says('connecting', 'connected');
  late.says('connected'); // its handshake may be from before
  waiting.says('connecting');
  lost.says('connecting', 'connected');
  connections.age();
  const made = manager.connectTo();
  fresh.says('connecting', 'connected');
  await connections.renew();
  const all = [fresh, late, waiting, lost, made];
  assert.deepEqual(all.map(one => one.reconnected), [0, 1, 1, 1, 0]);
});

test('the manager gives what it gave', () => {
  const manager = new Manager();
  new Connections().follow(manager);
  assert.equal(manager.connectTo(false), manager.made[0]);
});
