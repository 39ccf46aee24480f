/**
 * Sees every REST answer that JupyterLab gets, by standing in front of the shared `fetch`.
 *
 * A refusal alone proves nothing: it can be a missing XSRF cookie, or an authorizer's no. So it
 * only makes somebody ask.
 */
import type { IDisposable } from '@lumino/disposable';

/** Who is told. */
export interface IJudge {
  /** Something looks as if the login were over; resolves to whether it is. */
  suspect(): Promise<boolean>;
  /** The server answered a request. */
  succeed(): void;
}

type Fetch = (input: RequestInfo, init?: RequestInit) => Promise<Response>;

/** What `GET` here is told decides whether JupyterLab declares a kernel dead. */
const KERNEL = /\/api\/kernels\/[^/]+$/;

function isSuspicious(response: Response): boolean {
  const { redirected, status, type } = response;
  return redirected || type === 'opaqueredirect' || status === 401 || status === 403;
}

function asksForKernel(input: RequestInfo, init?: RequestInit): boolean {
  const isRequest = input instanceof Request;
  const method = init?.method ?? (isRequest ? input.method : 'GET');
  const url = new URL(isRequest ? input.url : input, 'https://relative.invalid/');
  return method === 'GET' && KERNEL.test(url.pathname);
}

export class AnswerWatch implements IDisposable {
  constructor(settings: { readonly fetch: Fetch }, judge: IJudge) {
    this._settings = settings as { fetch: Fetch };
    this._judge = judge;
    this._original = settings.fetch;
    this._settings.fetch = this._fetch;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    // Somebody may have wrapped it after us; then ours stays, and only passes on.
    if (this._settings.fetch === this._fetch) {
      this._settings.fetch = this._original;
    }
  }

  private readonly _fetch: Fetch = async (input, init) => {
    const original = this._original; // called as a function: a browser's fetch wants no other this
    if (this._isDisposed) {
      return original(input, init);
    }
    let response: Response;
    try {
      response = await original(input, init);
    } catch (reason) {
      if (!(reason instanceof DOMException)) {
        void this._judge.suspect(); // an aborted request says nothing, a failed one may
      }
      throw reason;
    }
    if (!isSuspicious(response)) {
      if (response.ok) {
        this._judge.succeed();
      }
      return response;
    }
    const verdict = this._judge.suspect();
    if (asksForKernel(input, init) && (await verdict)) {
      // As for a network error JupyterLab then tries again, instead of "Kernel died".
      throw new TypeError('login over');
    }
    return response;
  };

  private readonly _settings: { fetch: Fetch };
  private readonly _judge: IJudge;
  private readonly _original: Fetch;
  private _isDisposed = false;
}
