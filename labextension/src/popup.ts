/**
 * Logging in again in a window of its own, so that this page stays as it is.
 *
 * The window opens a page that only somebody signed in may see, so the server leads through
 * whatever login there is. This page asks meanwhile. It does not rely on the window's handle: a
 * login page with a Cross-Origin-Opener-Policy cuts it.
 */
import { isOver } from './login.js';
import { SessionUserModel } from './model.js';
import type { ISessionUserModel } from './tokens.js';

const ASK_EVERY_MS = 2000;
/** Afterwards the page still notices, at its usual pace. */
const ASK_FOR_MS = 5 * 60 * 1000;

const NAME = 'jupyter-session-user-login';
const FEATURES = 'popup,width=520,height=680';

/** The part of a window that matters here. */
export interface IPopup {
  readonly closed: boolean;
  close(): void;
}

export interface IPopupOptions {
  readonly model: ISessionUserModel;
  /** Of the page that says that one is signed in. */
  readonly url: string;
  readonly open: (url: string, name: string, features?: string) => IPopup | null;
  readonly clock?: SessionUserModel.IClock;
}

/** Returns what opens the window, within a click; that is false where the browser forbids it. */
export function loginPopup(options: IPopupOptions): () => boolean {
  const { model, url, open, clock = SessionUserModel.CLOCK } = options;
  let stop = (): void => undefined;

  const follow = (popup: IPopup): void => {
    const before = model.session?.expiresAt;
    const end = clock.now() + ASK_FOR_MS;
    const ask = async (): Promise<void> => {
      const isClosed = popup.closed;
      const state = await model.check();
      const isGood = !isOver(state) && state !== 'unreachable';
      if (isGood && (isClosed || model.session?.expiresAt !== before)) {
        popup.close();
      } else if (clock.now() < end) {
        wait();
      }
    };
    const wait = (): void => {
      stop();
      stop = clock.after(ASK_EVERY_MS, () => void ask());
    };
    wait();
  };

  return () => {
    const until = encodeURIComponent(model.session?.expiresAt ?? '');
    const address = isOver(model.state) ? url : `${url}?until=${until}`;
    const popup = open(address, NAME, FEATURES) ?? open(address, '_blank');
    if (popup !== null) {
      follow(popup);
    }
    return popup !== null;
  };
}
