/** The state of the front end: who is signed in. No view, no HTTP: the client is handed in. */
import { JSONExt, type ReadonlyJSONValue } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';
import { Signal } from '@lumino/signaling';

import { isOver, leftOf, nextLook, stateOf } from './login.js';
import type {
  IKernelSession,
  IReturn,
  ISessionInfo,
  ISessionUserClient,
  ISessionUserModel,
  LoginState,
  WhoAmI
} from './tokens.js';

/** Milliseconds between two questions where the server has no answer for us. */
const MAX_INTERVAL_MS = 5 * 60 * 1000;

function frequency(seconds: number): Poll['frequency'] {
  const interval = seconds * 1000;
  return { interval, backoff: true, max: Math.max(interval, MAX_INTERVAL_MS) };
}

export class SessionUserModel implements ISessionUserModel {
  constructor(options: SessionUserModel.IOptions) {
    this._client = options.client;
    this._clock = options.clock ?? SessionUserModel.CLOCK;
    this._poll = new Poll({
      auto: options.autoStart ?? true,
      name: 'jupyter-session-user:who-am-i',
      factory: () => this._ask(),
      frequency: frequency(60),
      standby: 'when-hidden'
    });
  }

  readonly changed: Signal<this, ISessionInfo | null> = new Signal(this);
  readonly stateChanged: Signal<this, LoginState> = new Signal(this);
  readonly returned: Signal<this, IReturn> = new Signal(this);

  get session(): ISessionInfo | null {
    return this._session;
  }

  get state(): LoginState {
    return this._state;
  }

  get left(): number | null {
    return this._session === null ? null : leftOf(this._session, this._now());
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** How often to ask, and how long before the end to warn: 0 never. */
  configure(pollSeconds: number, warnMinutes: number): void {
    if (this._isDisposed) {
      return;
    }
    this._poll.frequency = frequency(pollSeconds);
    this._warnMs = warnMinutes * 60 * 1000;
    this._look();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._stopTimer();
    this._poll.dispose();
    Signal.clearData(this);
  }

  /** Past the poll, which asks nothing while the page is hidden. */
  async refresh(): Promise<void> {
    if (!this._isDisposed) {
      await this._ask().catch(() => undefined);
    }
  }

  async check(): Promise<LoginState> {
    if (this._checking !== null) {
      await this._checking;
      // Asked before the end, it may have been answered as before. One more question will tell.
      if (isOver(this._state)) {
        return this._state;
      }
    }
    this._checking ??= this.refresh().finally(() => (this._checking = null));
    await this._checking;
    return this._state;
  }

  /** Take note that the server answered somebody's request: the login may be good again. */
  async noteSuccess(): Promise<void> {
    if ((isOver(this._state) || this._state === 'unreachable') && this._checking === null) {
      await this.check();
    }
  }

  async kernels(): Promise<readonly IKernelSession[]> {
    const username = this._session?.user.username;
    const all = await this._client.kernels();
    const own = all.filter(kernel => kernel.username === username);
    return [...new Map(own.map(kernel => [kernel.kernelId, kernel])).values()];
  }

  async signOutEverywhere(): Promise<void> {
    await this._client.signOutEverywhere();
    await this.check();
  }

  /** Rejects unless somebody is signed in, which is how the poll learns to ask less often. */
  private async _ask(): Promise<void> {
    const turn = ++this._turn;
    const answer = await this._client.whoAmI(this._known?.id);
    if (turn !== this._turn || this._isDisposed) {
      // A later question is under way or answered: an old answer must not bring back an old user.
      return;
    }
    this._take(answer);
    if (answer.kind === 'absent' || answer.kind === 'refused') {
      throw new Error(`Nobody to show: ${answer.kind}`);
    }
  }

  private _take(answer: WhoAmI): void {
    switch (answer.kind) {
      case 'present':
        this._skew = answer.serverTime === null ? 0 : answer.serverTime - this._clock.now();
        this._welcome(answer.session);
        break;
      case 'over':
        // A page that never knew anybody has nothing to tell.
        this._set(null, this._known === null ? 'unknown' : answer.state);
        break;
      case 'unreachable':
        if (this._session !== null) {
          this._set(this._session, 'unreachable');
        }
        break;
      default:
        this._set(null, 'unknown');
    }
  }

  private _welcome(session: ISessionInfo): void {
    const state = stateOf(session, this._now(), this._warnMs);
    const before = this._known;
    const wasOver = isOver(this._state);
    if (!isOver(state)) {
      this._known = session;
    }
    this._set(session, state);
    this._startTimer();
    if (before !== null && !isOver(state) && (wasOver || before.id !== session.id)) {
      this.returned.emit({ before, session, wasOver });
    }
  }

  private _set(session: ISessionInfo | null, state: LoginState): void {
    const isSame = SessionUserModel.isSame(session, this._session);
    const hasState = state === this._state;
    this._session = session;
    this._state = state;
    if (session === null) {
      this._stopTimer();
    }
    if (!isSame) {
      this.changed.emit(session);
    }
    if (!hasState) {
      this.stateChanged.emit(state);
    }
  }

  /** Look at the clock. */
  private _look(): void {
    if (this._session !== null && this._state !== 'unreachable') {
      this._set(this._session, stateOf(this._session, this._now(), this._warnMs));
      this._startTimer();
    }
  }

  /** The server is asked when it is time to warn, and when it is over: it may know better. */
  private _startTimer(): void {
    this._stopTimer();
    const session = this._session;
    const wait = session === null ? null : nextLook(session, this._now(), this._warnMs);
    if (wait !== null) {
      this._stopTimer = this._clock.after(wait, () => void this.refresh());
    }
  }

  private _now(): number {
    return this._clock.now() + this._skew;
  }

  private readonly _client: ISessionUserClient;
  private readonly _clock: SessionUserModel.IClock;
  private readonly _poll: Poll;
  private _session: ISessionInfo | null = null;
  private _state: LoginState = 'unknown';
  /** The last good login, also after its end: who comes back is compared with it. */
  private _known: ISessionInfo | null = null;
  private _checking: Promise<void> | null = null;
  private _stopTimer: () => void = () => undefined;
  private _skew = 0;
  private _turn = 0;
  private _warnMs = 5 * 60 * 1000;
  private _isDisposed = false;
}

export namespace SessionUserModel {
  export interface IOptions {
    readonly client: ISessionUserClient;
    /** Whether to start asking at once; true by default. */
    readonly autoStart?: boolean;
    readonly clock?: IClock;
  }

  /** Time, in milliseconds. */
  export interface IClock {
    now(): number;
    /** Call back once; what it returns calls that off. */
    after(wait: number, callback: () => void): () => void;
  }

  export const CLOCK: IClock = {
    now: () => Date.now(),
    after: (wait, callback) => {
      const timer = setTimeout(callback, wait);
      return () => clearTimeout(timer);
    }
  };

  export function isSame(one: ISessionInfo | null, other: ISessionInfo | null): boolean {
    // Interfaces have no index signature, so the compiler cannot see that these are JSON.
    return JSONExt.deepEqual(
      one as unknown as ReadonlyJSONValue,
      other as unknown as ReadonlyJSONValue
    );
  }
}
