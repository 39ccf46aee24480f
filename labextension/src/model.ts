/** The state of the front end: who is signed in. No view, no HTTP: the client is handed in. */
import { JSONExt, type ReadonlyJSONValue } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';
import { Signal, type ISignal } from '@lumino/signaling';

import type { ISessionInfo, ISessionUserClient, ISessionUserModel } from './tokens.js';

/** Milliseconds between two questions while the page is visible. */
const INTERVAL_MS = 60 * 1000;

/** Milliseconds between two questions where the server has no answer for us. */
const MAX_INTERVAL_MS = 5 * 60 * 1000;

export class SessionUserModel implements ISessionUserModel {
  constructor(options: SessionUserModel.IOptions) {
    this._client = options.client;
    this._poll = new Poll({
      auto: options.autoStart ?? true,
      name: 'jupyter-session-user:who-am-i',
      factory: () => this._ask(),
      frequency: { interval: INTERVAL_MS, backoff: true, max: MAX_INTERVAL_MS },
      standby: 'when-hidden'
    });
  }

  get session(): ISessionInfo | null {
    return this._session;
  }

  get changed(): ISignal<ISessionUserModel, ISessionInfo | null> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._poll.dispose();
    Signal.clearData(this);
  }

  async refresh(): Promise<void> {
    if (this._isDisposed) {
      return;
    }
    await this._poll.refresh();
    await this._poll.tick.catch(() => undefined);
  }

  /** Rejects unless somebody is signed in, which is how the poll learns to ask less often. */
  private async _ask(): Promise<void> {
    const turn = ++this._turn;
    const answer = await this._client.whoAmI();
    if (turn !== this._turn) {
      // A later question is under way or answered: an old answer must not bring back an old user.
      return;
    }
    this._set(answer.kind === 'present' ? answer.session : null);
    if (answer.kind !== 'present') {
      throw new Error(`Nobody to show: ${answer.kind}`);
    }
  }

  private _set(session: ISessionInfo | null): void {
    if (this._isDisposed || SessionUserModel.isSame(session, this._session)) {
      return;
    }
    this._session = session;
    this._changed.emit(session);
  }

  private readonly _client: ISessionUserClient;
  private readonly _poll: Poll;
  private readonly _changed = new Signal<ISessionUserModel, ISessionInfo | null>(this);
  private _session: ISessionInfo | null = null;
  private _turn = 0;
  private _isDisposed = false;
}

export namespace SessionUserModel {
  export interface IOptions {
    readonly client: ISessionUserClient;
    /** Whether to start asking at once; true by default. */
    readonly autoStart?: boolean;
  }

  export function isSame(one: ISessionInfo | null, other: ISessionInfo | null): boolean {
    // Interfaces have no index signature, so the compiler cannot see that these are JSON.
    return JSONExt.deepEqual(
      one as unknown as ReadonlyJSONValue,
      other as unknown as ReadonlyJSONValue
    );
  }
}
