/** Requests of a page that has no JupyterLab around it. */
import { type Ask, isRefusal, NO_REDIRECT } from '../shared/client.js';
import type { IPlace } from './place.js';

/** A slower answer counts as none. */
const PATIENCE_MS = 10_000;

/** With these, a hub or a proxy answers for a server that is gone. */
const GONE = [424, 502, 503, 504];

export function askAt({ base, token }: IPlace): Ask {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (token !== '') {
    headers.Authorization = `token ${token}`;
  }
  return async (path, init) => {
    try {
      const response = await fetch(`${base ?? ''}${path}`, {
        ...NO_REDIRECT,
        headers,
        cache: 'no-store',
        credentials: 'same-origin',
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...init
      });
      return GONE.includes(response.status) ? null : response;
    } catch {
      return null;
    }
  };
}

/** `refused`: an authorizer may refuse access to kernels although the user is logged in. */
export type KernelState = 'alive' | 'dead' | 'missing' | 'refused' | 'unreachable' | 'unknown';

export async function kernelState(ask: Ask, id: string): Promise<KernelState> {
  const response = await ask(`api/kernels/${encodeURIComponent(id)}?no_track_activity=1`);
  if (response === null) {
    return 'unreachable';
  }
  if (isRefusal(response)) {
    return 'refused';
  }
  if (!response.ok) {
    return response.status === 404 ? 'missing' : 'unknown';
  }
  const kernel: unknown = await response.json().catch(() => null);
  const isDead = (kernel as { execution_state?: unknown } | null)?.execution_state === 'dead';
  return isDead ? 'dead' : 'alive';
}
