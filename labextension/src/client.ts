/** The REST client: one question, three answers, or a rejection when the server could not decide. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { decodeSession } from './decode.js';
import type { ISessionUserClient, WhoAmI } from './tokens.js';

const WHO_AM_I = 'api/session-user/me';

export class SessionUserClient implements ISessionUserClient {
  constructor(options: SessionUserClient.IOptions) {
    this._settings = options.serverSettings;
  }

  async whoAmI(): Promise<WhoAmI> {
    const url = URLExt.join(this._settings.baseUrl, WHO_AM_I);
    const response = await ServerConnection.makeRequest(url, {}, this._settings);
    switch (response.status) {
      case 200:
        return { kind: 'present', session: decodeSession(await response.json()) };
      case 401:
      case 403:
        return { kind: 'refused' };
      case 404:
        return { kind: 'absent' };
      default:
        throw new ServerConnection.ResponseError(response);
    }
  }

  private readonly _settings: ServerConnection.ISettings;
}

export namespace SessionUserClient {
  export interface IOptions {
    readonly serverSettings: ServerConnection.ISettings;
  }
}
