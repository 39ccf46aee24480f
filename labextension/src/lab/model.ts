/** The login as JupyterLab's extensions see it: with signals. No view, no HTTP. */
import { Signal } from '@lumino/signaling';

import type { SessionUserClient } from '../shared/client.js';
import { isOver } from '../shared/login.js';
import { type ILoginOptions, LoginModel } from '../shared/model.js';
import type {
  IConsent,
  IKernelSession,
  ILogin,
  ISessionInfo,
  LoginState,
  WhoAmI
} from '../shared/types.js';
import type { IReturn, ISessionUserModel } from './tokens.js';

const MINUTE_MS = 60 * 1000;

export interface IModelOptions extends ILoginOptions {
  readonly client: Pick<SessionUserClient, 'whoAmI' | 'kernels' | 'signOutEverywhere'>;
  /** Whether to ask by itself, without being configured; true by default. */
  readonly autoStart?: boolean;
}

export class SessionUserModel extends LoginModel implements ISessionUserModel {
  constructor({ client, autoStart = true, ...options }: IModelOptions) {
    const pollMs = autoStart ? MINUTE_MS : Infinity;
    super({ pollMs, overMs: pollMs, warnMs: 5 * MINUTE_MS, patience: 0 }, options);
    this._client = client;
    if (autoStart) {
      void this.check();
    }
  }

  readonly changed: Signal<this, ISessionInfo | null> = new Signal(this);
  readonly stateChanged: Signal<this, LoginState> = new Signal(this);
  readonly consentsChanged: Signal<this, readonly IConsent[]> = new Signal(this);
  readonly returned: Signal<this, IReturn> = new Signal(this);

  override dispose(): void {
    super.dispose();
    Signal.clearData(this);
  }

  /** How often to ask, and how long before the end to warn: 0 never. */
  configure(pollSeconds: number, warnMinutes: number): void {
    const pollMs = pollSeconds * 1000;
    Object.assign(this._pace, { pollMs, overMs: pollMs, warnMs: warnMinutes * MINUTE_MS });
    this._look();
  }

  /** Note that the server answered a user's request: the login may be valid again. */
  async noteSuccess(): Promise<void> {
    if ((isOver(this.state) || this.state === 'unreachable') && this._checking === null) {
      await this.check();
    }
  }

  async kernels(): Promise<readonly IKernelSession[]> {
    const username = this.session?.user.username;
    const all = await this._client.kernels();
    const own = all.filter(kernel => kernel.username === username);
    return [...new Map(own.map(kernel => [kernel.kernelId, kernel])).values()];
  }

  async signOutEverywhere(): Promise<void> {
    await this._client.signOutEverywhere();
    await this.check();
  }

  protected override async _ask(): Promise<WhoAmI | null> {
    const { session, known } = this._login;
    const answer = await this._client.whoAmI(known?.id);
    if (answer.kind === 'unreachable' && session === null) {
      return null; // a login that is over stays so
    }
    // A page that never had a user has no end to report.
    return answer.kind === 'over' && known === null ? { kind: 'refused' } : answer;
  }

  protected override _publish(before: ILogin): void {
    const { session, state, known, consents } = this._login;
    // The decoder gives all fields in one order.
    if (JSON.stringify(session) !== JSON.stringify(before.session)) {
      this.changed.emit(session);
    }
    if (state !== before.state) {
      this.stateChanged.emit(state);
    }
    if (JSON.stringify(consents) !== JSON.stringify(before.consents)) {
      this.consentsChanged.emit(this.consents);
    }
    const wasOver = isOver(before.state);
    const isNew = known !== before.known && (wasOver || known?.id !== before.known?.id);
    if (known !== null && before.known !== null && isNew) {
      this.returned.emit({ before: before.known, session: known, wasOver });
    }
  }

  private readonly _client: IModelOptions['client'];
}
