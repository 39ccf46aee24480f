/**
 * Logging in again in a window of its own, so that the page stays as it is.
 *
 * The window opens a page that requires a login, so the server redirects to its login page. It
 * does not matter whether its handle lives: a login page with a Cross-Origin-Opener-Policy cuts it.
 */

/** Where a page that ends a login in a window of its own says so. */
export const CHANNEL = 'jupyter-session-user';

/** The page that says that one is logged in, below the server's base URL. */
export const SIGNED_IN_PAGE = 'session-user/signed-in';

/** How long to ask often; afterwards the page still notices, at its usual pace. */
export const ASK_FOR_MS = 5 * 60 * 1000;

const NAME = 'jupyter-session-user-login';
const FEATURES = 'popup,width=520,height=680';

/** The part of a window that matters here. */
export interface IPopup {
  readonly closed: boolean;
  close(): void;
}

export type Open = (url: string, name: string, features?: string) => IPopup | null;

/**
 * The address that a window or a link opens.
 *
 * @param until - The end of a login that is not over: the page then offers a new one.
 */
export function loginAddress(baseUrl: string, until: string | null): string {
  const query = until === null ? '' : `?until=${encodeURIComponent(until)}`;
  return `${baseUrl}${SIGNED_IN_PAGE}${query}`;
}

/** Open the window, within a click; null if the browser forbids it. */
export function openLogin(open: Open, address: string): IPopup | null {
  return open(address, NAME, FEATURES) ?? open(address, '_blank');
}
