/** Lists the user's own agents, makes tokens for them, and revokes them. An error is a text for people. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Ask } from '../../shared/client.js';
import { decodeMessage } from '../../shared/decode.js';
import { decodeAgents, decodeGrant, type IAgent, type IGrant, type Scope } from './decode.js';

const AGENTS = 'api/session-user/agents';

/** What a person asks for. */
export interface IWish {
  readonly name: string;
  /** In seconds. */
  readonly lifetime: number;
  readonly scopes: readonly Scope[];
}

export class AgentsClient {
  constructor(
    private readonly _ask: Ask,
    private readonly _trans: TranslationBundle
  ) {}

  /** The own agents, also for an administrator. */
  async list(): Promise<IAgent[]> {
    return decodeAgents(await (await this._send('?mine=true', {}, 200)).json());
  }

  async create(wish: IWish): Promise<IGrant> {
    const init = { method: 'POST', body: JSON.stringify(wish) };
    return decodeGrant(await (await this._send('', init, 201)).json());
  }

  /** Also succeeds if the token has ended already. */
  async revoke(id: string): Promise<void> {
    await this._send(`/${id}`, { method: 'DELETE' }, 204, 404);
  }

  private async _send(path: string, init: RequestInit, ...wanted: number[]): Promise<Response> {
    const response = await this._ask(`${AGENTS}${path}`, init);
    if (response === null) {
      throw new Error(this._trans.__('The server cannot be reached'));
    }
    if (!wanted.includes(response.status)) {
      const status = this._trans.__('The server answered with status %1', response.status);
      throw new Error(await response.json().then(decodeMessage).catch(() => status));
    }
    return response;
  }
}
