/** Remembers the connections to each kernel, and reconnects all of them. */
import type { IConnection } from '../shared/types.js';

/** A manager that makes all connections of its kind in one method. */
export interface IManager<O, C extends IConnection> {
  connectTo(options: O): C;
}

export class Connections {
  /** Follow the connections that a manager makes from now on. */
  follow<O, C extends IConnection>(manager: IManager<O, C>): void {
    const connectTo = manager.connectTo.bind(manager);
    manager.connectTo = options => {
      const connection = connectTo(options);
      this._open = [...this._alive(), connection];
      return connection;
    };
  }

  /**
   * Make new handshakes, with the cookies that the browser has now.
   *
   * All of them, since the websocket of an ended login looks connected. Settles in every case.
   */
  async renew(): Promise<void> {
    await Promise.allSettled(this._alive().map(async one => one.reconnect()));
  }

  private _alive(): IConnection[] {
    return this._open.filter(connection => !connection.isDisposed);
  }

  private _open: IConnection[] = [];
}
