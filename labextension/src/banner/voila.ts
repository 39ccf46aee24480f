/** For a page of Voila, or of a preview of Panel: one banner at its top, for all of it. */
import type { Ask } from '../shared/client.js';
import { element } from '../shared/dom.js';
import { start } from './page.js';
import { type IMadeUp, type IRefusal, refusalOf } from './noted.js';
import { placeHere } from './place.js';
import { askAt } from './server.js';
import { type IFound, WELL } from './shown.js';
import type { Texts } from './texts.js';
import { Banner } from './view.js';
import { type IKernelConnection, Watch } from './watch.js';

/** On window: the banner of the whole page, if it has one. Banners in cells then stay hidden. */
export const PAGE: unique symbol = Symbol.for('jupyter-session-user.banner');
export const PAGE_EVENT = 'jupyter-session-user:page-banner';

declare global {
  interface Window {
    [PAGE]?: { hear(texts: Texts, found: IFound, madeUp: IMadeUp | null): void };
  }
}

export interface IVoilaConnection extends IKernelConnection {
  readonly connectionStatusChanged?: { connect(call: () => void): void };
  readonly statusChanged?: { connect(call: (kernel: unknown, status: string) => void): void };
  readonly iopubMessage?: { connect(call: (kernel: unknown, message: unknown) => void): void };
}

/** An Output widget has shown an error by then. */
const SHOWN_MS = 500;

export interface IPageOptions {
  /** The address of the style sheet. */
  readonly style: string;
  readonly texts: Texts;
  readonly connection: () => IVoilaConnection | null;
  /** Resolves when `connection` returns one. */
  readonly connected?: Promise<unknown> | undefined;
  /** The kernel's id, where the page's configuration does not have it. */
  readonly kernelId?: string | undefined;
}

export async function bannerOfPage(options: IPageOptions): Promise<void> {
  const { style, texts, connection, connected, kernelId } = options;
  const place = placeHere();
  const ask = askAt(place);
  if (place.base === null || window[PAGE] || !(await isWanted(ask))) {
    return;
  }
  document.head.append(element('link', '', '', { rel: 'stylesheet', href: style }));
  let said = WELL;
  let madeUp: IMadeUp | null = null;
  let refusal: IRefusal | null = null;
  const isHidden = (): boolean => document.hidden;
  const onChange = (): void => paint();
  const watch = new Watch({ place, ask, connection, isHidden, onChange, kernelId });
  const top = element('div', 'jsu-page');
  document.body.prepend(top);
  const banner = new Banner(top, watch);
  new ResizeObserver(() => makeRoom(top)).observe(top);
  const paint = (): void => {
    banner.show(!watch.knowsLogin && watch.found.state === 'active' ? said : watch.found);
    banner.note(watch.consents, madeUp, refusal);
  };
  banner.use(texts);
  window[PAGE] = {
    hear(more, found, user) {
      banner.use({ ...texts, ...more });
      said = found;
      madeUp = user;
      paint();
    }
  };
  window.dispatchEvent(new Event(PAGE_EVENT));
  start(watch);
  await connected;
  // A closing websocket is the earliest sign.
  const kernel = connection();
  kernel?.connectionStatusChanged?.connect(() => void watch.check());
  kernel?.statusChanged?.connect((_, status) => status === 'idle' && watch.noteRun());
  // Voila shows no error of a callback.
  kernel?.iopubMessage?.connect((_, message) => {
    const text = refusalOf(message);
    if (text !== null) {
      setTimeout(() => {
        if (!document.body.innerText.includes(text)) {
          refusal = { text, count: (refusal?.count ?? 0) + 1 };
          paint();
        }
      }, SHOWN_MS);
    }
  });
}

/** Move elements outside the flow: Voila's classic template has its page in a positioned element. */
function makeRoom(node: HTMLElement): void {
  for (const shell of document.querySelectorAll<HTMLElement>('body > .jp-LabShell')) {
    if (getComputedStyle(shell).position === 'absolute') {
      shell.style.marginTop = `${node.offsetHeight}px`;
    }
  }
}

/** `c.JupyterSessionUser.page_banner`; standalone Voila leaves the extension out instead. */
async function isWanted(ask: Ask): Promise<boolean> {
  const answer = await ask('session-user/page-banner');
  const setting: unknown = answer?.ok ? await answer.json().catch(() => null) : null;
  return (setting as { on?: unknown } | null)?.on !== false;
}
