/** The REST client: questions with few answers, or a rejection when the server could not decide. */
import {
  decodeChangesIn,
  decodeConsents,
  decodeKernels,
  decodeMessage,
  DecodeError,
  decodeLoginState,
  decodeServerTime,
  decodeSession
} from './decode.js';
import type { IKernelSession, OverState, WhoAmI } from './types.js';

const API = 'api/session-user';

/** Sends a request to a path below the server's base URL; null if there is no answer. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response | null>;

/** A redirect to another site's login page would look like a network error if followed. */
export const NO_REDIRECT: RequestInit = { redirect: 'manual' };

/** Whether a single sign-on in front of the server answered in its place: it redirects. */
export function isRefusal(response: Response): boolean {
  return response.type === 'opaqueredirect' || [401, 403].includes(response.status);
}

async function jsonOf(response: Response | null): Promise<unknown> {
  if (response?.status !== 200) {
    throw new Error(`The server answered ${response?.status ?? 'nothing'}`);
  }
  return response.json().catch((reason: unknown) => {
    throw reason instanceof SyntaxError ? new DecodeError('answer', 'JSON') : reason;
  });
}

export class SessionUserClient {
  constructor(private readonly _ask: Ask) {}

  /**
   * The user.
   *
   * @param known - The id of the last session; the server reports how it ended.
   */
  async whoAmI(known?: string): Promise<WhoAmI> {
    const answer = await this.me();
    return answer.kind === 'refused' && known !== undefined ? this.whyRefused(known) : answer;
  }

  /** The user, without the reason of a refusal. */
  async me(): Promise<WhoAmI> {
    const response = await this._ask(`${API}/me`);
    if (response === null) {
      return { kind: 'unreachable' };
    }
    if (isRefusal(response)) {
      return { kind: 'refused' };
    }
    if (response.status === 404) {
      return { kind: 'absent' };
    }
    const answer = await jsonOf(response);
    return {
      kind: 'present',
      session: decodeSession(answer),
      serverTime: decodeServerTime(answer),
      changesIn: decodeChangesIn(answer),
      consents: decodeConsents(answer)
    };
  }

  /** An authorizer's no is not the end of a login. */
  async whyRefused(known: string): Promise<WhoAmI> {
    const response = await this._loginState(known);
    if (response === null) {
      return { kind: 'unreachable' };
    }
    if (isRefusal(response)) {
      return { kind: 'over', state: 'expired' };
    }
    const { isSignedIn, end } = decodeLoginState(await jsonOf(response));
    return isSignedIn ? { kind: 'refused' } : { kind: 'over', state: end ?? 'expired' };
  }

  /** How a login ended, also if the user has another one now; null if it did not. */
  async endOf(known: string): Promise<OverState | null> {
    return decodeLoginState(await jsonOf(await this._loginState(known))).end;
  }

  /** The sessions on kernels that this person may see. */
  async kernels(): Promise<readonly IKernelSession[]> {
    return decodeKernels(await jsonOf(await this._ask(`${API}/sessions`)));
  }

  /** Revoke all logins of this user; rejects with the server's reason. */
  async signOutEverywhere(): Promise<void> {
    const response = await this._ask(`${API}/logout-everywhere`, { method: 'POST' });
    if (response === null) {
      throw new Error('The server cannot be reached');
    }
    if (!response.ok) {
      throw new Error(decodeMessage(await response.json()));
    }
  }

  /** Answers every caller, and says whether a user is logged in. */
  private _loginState(known: string): Promise<Response | null> {
    return this._ask(`session-user/login-state?session=${encodeURIComponent(known)}`);
  }
}
