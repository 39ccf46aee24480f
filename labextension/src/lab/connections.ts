/** Remembers the connections to each kernel and terminal, and renews those of an ended login. */
import type { ISignal } from '@lumino/signaling';

import type { IConnection } from '../shared/types.js';

/** A connection that tells when it is `connecting` and `connected`. */
interface IFollowed extends IConnection {
  readonly connectionStatusChanged: ISignal<unknown, string>;
}

/** A manager that makes all connections of its kind in one method. */
export interface IManager<O, C extends IFollowed> {
  connectTo(options: O): C;
}

/** A connection, and whether its handshake may be of an ended login. */
interface IKnown {
  readonly connection: IConnection;
  isOld: boolean;
  /** Whether a handshake has begun since it is old. */
  isConnecting: boolean;
}

export class Connections {
  /** Follow the connections that a manager makes from now on. */
  follow<O, C extends IFollowed>(manager: IManager<O, C>): void {
    const connectTo = manager.connectTo.bind(manager);
    manager.connectTo = options => {
      const connection = connectTo(options);
      const known = { connection, isOld: false, isConnecting: false };
      connection.connectionStatusChanged.connect((_, status) => {
        known.isConnecting ||= status === 'connecting';
        known.isOld &&= !(known.isConnecting && status === 'connected');
      });
      this._open = [...this._alive(), known];
      return connection;
    };
  }

  /** The login is over: only a handshake that begins from now on is of another login. */
  age(): void {
    this._open.forEach(known => Object.assign(known, { isOld: true, isConnecting: false }));
  }

  /**
   * Make new handshakes, with the cookies that the browser has now.
   *
   * The websocket of an ended login looks connected, so all that are old get one. The others may
   * wait for the reply to a running cell, which would be lost. Settles in every case.
   */
  async renew(): Promise<void> {
    const old = this._alive().filter(({ isOld }) => isOld);
    await Promise.allSettled(old.map(async ({ connection }) => connection.reconnect()));
  }

  private _alive(): IKnown[] {
    return this._open.filter(({ connection }) => !connection.isDisposed);
  }

  private _open: IKnown[] = [];
}
