/** Follows the login, the server and the kernel of a page. No DOM: `page.ts` says when to check. */
import { type Ask, SessionUserClient } from '../shared/client.js';
import { DecodeError } from '../shared/decode.js';
import { areTwoPeople, isEstimated, isOver } from '../shared/login.js';
import { type ILoginOptions, LoginModel } from '../shared/model.js';
import type { IConnection, IConsent, ISessionInfo, WhoAmI } from '../shared/types.js';
import type { IPlace } from './place.js';
import { type KernelState, kernelState } from './server.js';
import { type IFound, type IKnowledge, WELL } from './shown.js';

const ENDED: IFound = { state: 'kernel_ended' };
const ABSENT: WhoAmI = { kind: 'absent' };

/** The connection of an app's page to its kernel. */
export interface IKernelConnection extends IConnection {
  readonly status: string;
  readonly connectionStatus: string;
}

export interface IWatchOptions extends ILoginOptions {
  readonly place: IPlace;
  readonly ask: Ask;
  /** Called after each check. */
  readonly onChange: () => void;
  readonly kernelId?: string | undefined;
  /** Returns the page's connection to its kernel if the page exposes it. */
  readonly connection?: () => IKernelConnection | null;
}

export class Watch extends LoginModel implements IKnowledge {
  constructor(private readonly _options: IWatchOptions) {
    const { place, ask, kernelId } = _options;
    const pace = { pollMs: 10_000, overMs: 3000, warnMs: null, patience: 1 };
    super(pace, { ..._options, baseUrl: place.base ?? '' });
    this.place = place;
    this._client = new SessionUserClient(ask);
    this._kernelId = place.kernelId || (kernelId ?? '');
    // Code may have a wrong kernel id, if kernels are not started by Jupyter.
    this._isKernelKnown = place.kernelId !== '';
  }

  readonly place: IPlace;
  hasLooked = false;

  get canAsk(): boolean {
    return this.place.base !== null && (this.knowsLogin || this._kernelId !== '');
  }

  get knowsLogin(): boolean {
    return this._login.known !== null;
  }

  get canReconnect(): boolean {
    return this.knowsLogin && this._connection() !== null;
  }

  /** The services that wait for the user; JupyterLab has notifications of its own for them. */
  override get consents(): readonly IConsent[] {
    return this.place.isApp ? super.consents : [];
  }

  /** Note that the kernel has run something: it may have asked for a token that needs consent. */
  noteRun(): void {
    if (this._login.consents !== null) {
      this.checkIfOld();
    }
  }

  get found(): IFound {
    const { state, left, session } = this;
    if (isOver(state) || state === 'unreachable') {
      return { state };
    }
    if (this._trouble !== null) {
      return this._trouble;
    }
    return state === 'expiring' && session !== null && left !== null
      ? { state, left, isGuess: isEstimated(session) }
      : WELL;
  }

  protected override _publish(): void {
    this.hasLooked = true;
    this._options.onChange();
  }

  protected override async _ask(): Promise<WhoAmI | null> {
    const answer = await this._me();
    if (answer?.kind === 'unreachable' || answer?.kind === 'over') {
      return answer;
    }
    if (this._isCut()) {
      this._trouble = ENDED;
      return answer;
    }
    const kernel = await this._askKernel();
    // A server without our extension tells about itself by the kernel alone.
    if (answer === ABSENT && kernel === 'unreachable') {
      return { kind: 'unreachable' };
    }
    this._isKernelKnown ||= kernel === 'alive' || kernel === 'dead';
    const hasEnded = this._isKernelKnown && (kernel === 'missing' || kernel === 'dead');
    const latest = answer?.kind === 'present' ? answer.session : this._login.known;
    this._trouble = hasEnded ? ENDED : await this._before(latest);
    return answer === ABSENT && kernel === 'refused'
      ? { kind: 'over', state: 'signed_out' }
      : answer;
  }

  private async _me(): Promise<WhoAmI | null> {
    if (this.place.base === null || this._isStrange) {
      return ABSENT;
    }
    const answer = await this._client.me().catch(undecided);
    if (answer?.kind === 'refused' && !(await this._isVoilaAlone())) {
      return this._client.whyRefused(this._login.known?.id ?? '').catch(() => null);
    }
    // No extension of ours in this server: that does not change.
    this._isStrange = answer?.kind === 'absent' || answer?.kind === 'refused';
    return this._isStrange ? ABSENT : answer;
  }

  /** Whether our address is unknown there. Standalone Voila redirects unknown addresses. */
  private async _isVoilaAlone(): Promise<boolean> {
    const kernel = this.knowsLogin ? null : await this._askKernel();
    return kernel === 'alive' || kernel === 'dead' || kernel === 'missing';
  }

  /** Null if there is no kernel to ask about. */
  private async _askKernel(): Promise<KernelState | null> {
    const isKnown = this._kernelId !== '' && this.place.base !== null;
    return isKnown ? kernelState(this._options.ask, this._kernelId) : null;
  }

  /** Whether an app has lost its kernel for good. */
  private _isCut(): boolean {
    const connection = this.place.isApp ? this._connection() : null;
    return (
      connection !== null &&
      (connection.isDisposed ||
        connection.status === 'dead' ||
        connection.connectionStatus === 'disconnected')
    );
  }

  /** An app belongs to the login with which it began, also when the user has a new one. */
  private async _before(latest: ISessionInfo | null): Promise<IFound | null> {
    const first = (this._first ??= latest);
    if (!this.place.isApp || first === null || latest === null || first.id === latest.id) {
      return null;
    }
    if (areTwoPeople(first, latest)) {
      return { state: 'user_changed', name: first.user.displayName };
    }
    if ((await this._client.endOf(first.id).catch(() => null)) === null) {
      return null;
    }
    if (!(await this._reconnect())) {
      return { state: 'stale' };
    }
    this._first = latest;
    return null;
  }

  /** Reconnect with the cookies of the new login; the kernel stays. */
  private async _reconnect(): Promise<boolean> {
    try {
      const connection = this._connection();
      await connection?.reconnect();
      return connection !== null;
    } catch {
      return false;
    }
  }

  private _connection(): IKernelConnection | null {
    return this._options.connection?.() ?? null;
  }

  private readonly _client: SessionUserClient;
  private readonly _kernelId: string;
  /** The session with which this page began. */
  private _first: ISessionInfo | null = null;
  /** What is wrong with the page although its login is good. */
  private _trouble: IFound | null = null;
  private _isKernelKnown: boolean;
  private _isStrange = false;
}

/** An answer that is not ours comes from a server without our extension. */
function undecided(reason: unknown): WhoAmI | null {
  return reason instanceof DecodeError ? ABSENT : null;
}
