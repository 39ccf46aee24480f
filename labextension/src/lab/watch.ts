/**
 * Sees every REST answer that JupyterLab gets, by wrapping the shared `fetch`.
 *
 * A refusal alone proves nothing: it can be a missing XSRF cookie, or an authorizer's refusal. So
 * it only causes a request for the state of the login.
 */
import { isRefusal } from '../shared/client.js';

/** Receives the observations. */
export interface IJudge {
  /** Something looks as if the login were over; resolves to whether it is. */
  suspect(): Promise<boolean>;
  /** The server answered a request. */
  succeed(): void;
}

type Fetch = (input: RequestInfo, init?: RequestInit) => Promise<Response>;

/** The answer to this `GET` decides whether JupyterLab declares a kernel dead. */
const KERNEL = /\/api\/kernels\/[^/]+$/;

function asksForKernel(input: RequestInfo, init?: RequestInit): boolean {
  const isRequest = input instanceof Request;
  const method = init?.method ?? (isRequest ? input.method : 'GET');
  const url = new URL(isRequest ? input.url : input, 'https://relative.invalid/');
  return method === 'GET' && KERNEL.test(url.pathname);
}

export function watchAnswers(settings: { readonly fetch: Fetch }, judge: IJudge): void {
  const original = settings.fetch; // called as a function: a browser's fetch wants no other this
  (settings as { fetch: Fetch }).fetch = async (input, init) => {
    let response: Response;
    try {
      response = await original(input, init);
    } catch (reason) {
      if (!(reason instanceof DOMException)) {
        void judge.suspect(); // an aborted request says nothing, a failed one may
      }
      throw reason;
    }
    if (!response.redirected && !isRefusal(response)) {
      if (response.ok) {
        judge.succeed();
      }
      return response;
    }
    const verdict = judge.suspect();
    if (asksForKernel(input, init) && (await verdict)) {
      // As for a network error JupyterLab then tries again, instead of "Kernel died".
      throw new TypeError('login over');
    }
    return response;
  };
}
