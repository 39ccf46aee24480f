/** The REST client: questions with few answers, or a rejection when the server could not decide. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import {
  decodeEnd,
  decodeKernels,
  decodeMessage,
  decodeServerTime,
  decodeSession
} from './decode.js';
import type { IKernelSession, ISessionUserClient, WhoAmI } from './tokens.js';

const API = 'api/session-user';

/** Lets in everybody, and says whether somebody is signed in. */
const LOGIN_STATE = 'session-user/login-state';

/** What a single sign-on in front of the server answers in its place: it redirects. */
function isLoginPage(response: Response): boolean {
  return response.type === 'opaqueredirect' || [401, 403].includes(response.status);
}

export class SessionUserClient implements ISessionUserClient {
  constructor(options: SessionUserClient.IOptions) {
    // A copy: whoever watches the answers of the shared settings must not hear of ours.
    this._settings = { ...options.serverSettings };
  }

  async whoAmI(known?: string): Promise<WhoAmI> {
    try {
      return await this._whoAmI(known);
    } catch (reason) {
      if (reason instanceof ServerConnection.NetworkError) {
        return { kind: 'unreachable' };
      }
      throw reason;
    }
  }

  async kernels(): Promise<readonly IKernelSession[]> {
    return decodeKernels(await this._json(await this._ask(`${API}/sessions`)));
  }

  async signOutEverywhere(): Promise<void> {
    const response = await this._ask(`${API}/logout-everywhere`, { method: 'POST' });
    if (!response.ok) {
      throw new Error(decodeMessage(await response.json()));
    }
  }

  private async _whoAmI(known?: string): Promise<WhoAmI> {
    const response = await this._ask(`${API}/me`);
    if (isLoginPage(response)) {
      return known === undefined ? { kind: 'refused' } : this._whyRefused(known);
    }
    if (response.status === 404) {
      return { kind: 'absent' };
    }
    const answer = await this._json(response);
    const session = decodeSession(answer);
    return { kind: 'present', session, serverTime: decodeServerTime(answer) };
  }

  /** An authorizer's no is not the end of a login. */
  private async _whyRefused(known: string): Promise<WhoAmI> {
    const response = await this._ask(`${LOGIN_STATE}?session=${encodeURIComponent(known)}`);
    if (isLoginPage(response)) {
      return { kind: 'over', state: 'expired' };
    }
    const state = decodeEnd(await this._json(response));
    return state === null ? { kind: 'refused' } : { kind: 'over', state };
  }

  private _ask(path: string, init: RequestInit = {}): Promise<Response> {
    const url = URLExt.join(this._settings.baseUrl, path);
    // A redirect to another site's login page would look like a network error if followed.
    return ServerConnection.makeRequest(url, { redirect: 'manual', ...init }, this._settings);
  }

  private async _json(response: Response): Promise<unknown> {
    if (response.status !== 200) {
      throw new ServerConnection.ResponseError(response);
    }
    return response.json();
  }

  private readonly _settings: ServerConnection.ISettings;
}

export namespace SessionUserClient {
  export interface IOptions {
    readonly serverSettings: ServerConnection.ISettings;
  }
}
