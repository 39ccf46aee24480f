/** For a page of Voila, or of a preview of Panel: one banner at its top, for all of it. */
import type { Ask } from '../shared/client.js';
import { element } from '../shared/dom.js';
import { start } from './page.js';
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
    [PAGE]?: { hear(texts: Texts, found: IFound): void };
  }
}

export interface IVoilaConnection extends IKernelConnection {
  readonly connectionStatusChanged?: { connect(call: () => void): void };
}

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
  const isHidden = (): boolean => document.hidden;
  const onChange = (): void => paint();
  const watch = new Watch({ place, ask, connection, isHidden, onChange, kernelId });
  const banner = new Banner(document.body, watch);
  banner.node.classList.add('jsu-page');
  document.body.prepend(banner.node);
  new ResizeObserver(() => makeRoom(banner.node)).observe(banner.node);
  const paint = (): void =>
    banner.show(!watch.knowsLogin && watch.found.state === 'active' ? said : watch.found);
  banner.use(texts);
  window[PAGE] = {
    hear(more, found) {
      banner.use({ ...texts, ...more });
      said = found;
      paint();
    }
  };
  window.dispatchEvent(new Event(PAGE_EVENT));
  start(watch);
  await connected;
  // A closing websocket is the earliest sign.
  connection()?.connectionStatusChanged?.connect(() => void watch.check());
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
