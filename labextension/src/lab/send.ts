/** Requests whose failure is a text for people. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Ask } from '../shared/client.js';
import { decodeMessage } from '../shared/decode.js';

/** Sends a request, and rejects unless the answer has one of these statuses. */
export type Send = (path: string, init: RequestInit, ...wanted: number[]) => Promise<Response>;

export function sendThrough(ask: Ask, trans: TranslationBundle): Send {
  return async (path, init, ...wanted) => {
    const response = await ask(path, init);
    if (response === null) {
      throw new Error(trans.__('The server cannot be reached'));
    }
    if (!wanted.includes(response.status)) {
      const status = trans.__('The server answered with status %1', response.status);
      throw new Error(await response.json().then(decodeMessage).catch(() => status));
    }
    return response;
  };
}
