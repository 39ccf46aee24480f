/**
 * The login of a page, kept up to date while the page is visible.
 *
 * No view, no HTTP: a subclass asks the server, and tells its view what has changed.
 */
import { CLOCK, type IClock } from './clock.js';
import { isOver, leftOf, nextLook, stateOf } from './login.js';
import { ASK_FOR_MS, type IPopup, loginAddress, type Open, openLogin } from './popup.js';
import type { IConsent, ILogin, ISessionInfo, LoginState, WhoAmI } from './types.js';

/** While a user logs in in another window. */
const LOGGING_IN_MS = 2000;
/** After a failure; each further failure doubles it. */
const RETRY_MS = 1000;
const MAX_RETRY_MS = 15_000;
/** A question is old after that time. */
const OLD_MS = 2000;
/** The server looks at its timeouts four times in a second. */
const DUE_SLACK_MS = 300;
/** How long a page may take to go away. */
const LEAVING_MS = 10_000;

export interface ILoginOptions {
  /** The server's base URL, with a slash at its end. */
  readonly baseUrl?: string;
  readonly clock?: IClock;
  readonly isHidden?: () => boolean;
}

/** How a page follows its login. */
export interface IPace {
  /** Milliseconds between two questions. */
  pollMs: number;
  /** The same while the login is over: it may be valid again at any moment. */
  overMs: number;
  /** How long before the end to warn; null to warn when the server says that it is time. */
  warnMs: number | null;
  /** How many failures in a row count as none. */
  readonly patience: number;
}

export abstract class LoginModel {
  constructor(
    protected readonly _pace: IPace,
    { baseUrl = '', clock = CLOCK, isHidden = () => false }: ILoginOptions
  ) {
    this._baseUrl = baseUrl;
    this._clock = clock;
    this._isHidden = isHidden;
  }

  /** Ask the server; null, or a rejection, if it could not decide. */
  protected abstract _ask(): Promise<WhoAmI | null>;

  /** Called after each answer, with what was known before it. */
  protected abstract _publish(before: ILogin): void;

  get session(): ISessionInfo | null {
    return this._login.session;
  }

  get state(): LoginState {
    return this._login.state;
  }

  /** The services that wait for the user's consent. */
  get consents(): readonly IConsent[] {
    return this._login.consents ?? [];
  }

  /** Milliseconds until the login ends, by the server's clock; null if unknown. */
  get left(): number | null {
    return this.session === null ? null : leftOf(this.session, this._now());
  }

  get isDisposed(): boolean {
    return this.disposing.aborted;
  }

  /** Aborted when the model is disposed. */
  get disposing(): AbortSignal {
    return this._end.signal;
  }

  dispose(): void {
    this._turn += 1;
    this._stopTimer();
    this._end.abort();
  }

  /** Note that the page is being left: what it cuts off is not to be reported. */
  leave(): void {
    this._turn += 1;
    this._leavingUntil = this._clock.now() + LEAVING_MS;
    this._wait();
  }

  /** Ask now, also while another question is under way. Settles in every case. */
  async refresh(): Promise<void> {
    if (this._clock.now() >= this._leavingUntil && !this.isDisposed) {
      this._stopTimer();
      this._askedAt = this._clock.now();
      const turn = ++this._turn;
      const isClosed = this._popup?.closed ?? false;
      const answer = await this._ask().catch(() => null);
      if (turn !== this._turn) {
        return; // an old answer must not bring back an old user
      }
      this._failures = answer?.kind === 'unreachable' ? this._failures + 1 : 0;
      this._dueAt = Infinity;
      if (answer?.kind === 'present') {
        this._dueAt = this._clock.now() + (answer.changesIn ?? Infinity) + DUE_SLACK_MS;
        this._skew = answer.serverTime === null ? 0 : answer.serverTime - this._clock.now();
      }
      this._set(this._after(answer));
      this._closePopup(isClosed);
    }
    this._wait();
  }

  /** Find out how it stands, by a question that is asked after this call, or is just pending. */
  async check(): Promise<LoginState> {
    if (this._checking !== null) {
      await this._checking;
      // Asked before the end, it may have been answered as before. One more question will tell.
      if (isOver(this.state)) {
        return this.state;
      }
    }
    this._checking ??= this.refresh().finally(() => (this._checking = null));
    await this._checking;
    return this.state;
  }

  /** Check, unless the last question is younger than two seconds. */
  checkIfOld(): void {
    if (this._clock.now() - this._askedAt > OLD_MS) {
      void this.check();
    }
  }

  /** The address of the page to log in, for a window or a link. */
  get loginUrl(): string {
    const until = isOver(this.state) ? null : (this.session?.expiresAt ?? '');
    return loginAddress(this._baseUrl, until);
  }

  /** Open the window to log in, within a click; false if the browser forbids it. */
  logIn(open: Open = (...target) => window.open(...target)): boolean {
    this._popup = openLogin(open, this.loginUrl);
    this._endBefore = this.session?.expiresAt;
    this._popupUntil = this._clock.now() + ASK_FOR_MS;
    this._wait();
    return this._popup !== null;
  }

  /** Look at the clock: the state may have changed without an answer. */
  protected _look(): void {
    if (this.state !== 'unreachable') {
      this._set(this._byClock());
    }
    this._wait();
  }

  /** What an answer changes. */
  private _after(answer: WhoAmI | null): Partial<ILogin> {
    switch (answer?.kind) {
      case 'present': {
        const { session, consents } = answer;
        const state = this._stateOf(session);
        return { session, state, consents, ...(!isOver(state) && { known: session }) };
      }
      case 'over':
        return { session: null, state: answer.state, consents: null };
      case 'absent':
      case 'refused':
        return { session: null, state: 'unknown', consents: null };
      case 'unreachable':
        return this._failures > this._pace.patience ? { state: 'unreachable' } : {};
      default:
        return this._byClock();
    }
  }

  private _byClock(): Partial<ILogin> {
    return this.session === null ? {} : { state: this._stateOf(this.session) };
  }

  private _set(changes: Partial<ILogin>): void {
    const before = this._login;
    this._login = { ...before, ...changes };
    this._publish(before);
  }

  /** The window is needed no more if the login is good, and new or the window closed. */
  private _closePopup(wasClosed: boolean): void {
    const isGood = !isOver(this.state) && this.state !== 'unreachable';
    if (isGood && (wasClosed || this.session?.expiresAt !== this._endBefore)) {
      this._popup?.close();
      this._popup = null;
    }
  }

  /** Set the timer of the next question. */
  private _wait(): void {
    this._stopTimer();
    const pause = this._pause();
    if (!this.isDisposed && !this._isHidden() && pause < Infinity) {
      this._stopTimer = this._clock.after(pause, () => {
        if (!this._isHidden()) {
          void this.check();
        }
      });
    }
  }

  private _pause(): number {
    if (this._failures > 0) {
      return Math.min(RETRY_MS * 2 ** (this._failures - 1), MAX_RETRY_MS);
    }
    const isLoggingIn = this._popup !== null && this._clock.now() < this._popupUntil;
    const usual = isOver(this.state) ? this._pace.overMs : this._pace.pollMs;
    const pause = isLoggingIn ? LOGGING_IN_MS : usual;
    const next = this.session && nextLook(this.session, this._now(), this._pace.warnMs);
    const due = Math.max(this._dueAt - this._clock.now(), 0);
    return Math.min(pause, next ?? pause, due);
  }

  private _stateOf(session: ISessionInfo): ISessionInfo['state'] {
    return stateOf(session, this._now(), this._pace.warnMs);
  }

  /** The server's clock, as far as its answers tell: a browser's may be wrong by hours. */
  private _now(): number {
    return this._clock.now() + this._skew;
  }

  protected readonly _clock: IClock;
  private readonly _baseUrl: string;
  private readonly _isHidden: () => boolean;
  private readonly _end = new AbortController();
  protected _login: ILogin = { session: null, state: 'unknown', known: null, consents: null };
  protected _checking: Promise<void> | null = null;
  private _stopTimer = (): void => undefined;
  private _turn = 0;
  private _failures = 0;
  private _skew = 0;
  /** When time alone may have changed the state. */
  private _dueAt = Infinity;
  private _askedAt = -Infinity;
  private _leavingUntil = -Infinity;
  private _popup: IPopup | null = null;
  private _popupUntil = -Infinity;
  private _endBefore: string | null | undefined;
}
