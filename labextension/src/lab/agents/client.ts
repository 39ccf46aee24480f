/** Lists the user's own agents, makes tokens for them, and revokes them. An error is a text for people. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Ask } from '../../shared/client.js';
import { type Send, sendThrough } from '../send.js';
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
  constructor(ask: Ask, trans: TranslationBundle) {
    this._send = sendThrough(ask, trans);
  }

  /** The own agents, also for an administrator. */
  async list(): Promise<IAgent[]> {
    return decodeAgents(await (await this._send(`${AGENTS}?mine=true`, {}, 200)).json());
  }

  async create(wish: IWish): Promise<IGrant> {
    const init = { method: 'POST', body: JSON.stringify(wish) };
    return decodeGrant(await (await this._send(AGENTS, init, 201)).json());
  }

  /** Also succeeds if the token has ended already. */
  async revoke(id: string): Promise<void> {
    await this._send(`${AGENTS}/${id}`, { method: 'DELETE' }, 204, 404);
  }

  private readonly _send: Send;
}
