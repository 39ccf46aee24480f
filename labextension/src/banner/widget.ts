/** The banner in a cell or an app, for anywidget and Panel. */
import { isOver } from '../shared/login.js';
import { start } from './page.js';
import { madeUpOf } from './noted.js';
import { placeHere } from './place.js';
import { askAt } from './server.js';
import { type BannerState, WELL, withKernelsWord } from './shown.js';
import type { Texts } from './texts.js';
import { Banner } from './view.js';
import { PAGE, PAGE_EVENT } from './voila.js';
import { Watch } from './watch.js';

/** Until the kernel has learnt by itself how a login ended. */
const TELLING_MS = 2000;

/** The part of a widget's model that matters here. */
export interface IModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
}

export function render({ model, el }: { model: IModel; el: HTMLElement }): () => void {
  const place = placeHere(String(model.get('base_url') ?? ''));
  const texts = (): Texts => model.get('texts') as Texts;
  const watch = new Watch({
    place,
    ask: askAt(place),
    kernelId: String(model.get('kernel_id') ?? ''),
    isHidden: () => document.hidden,
    onChange: () => paint()
  });
  const banner = new Banner(el, watch);
  let reported = WELL.state; // or about to be
  let reporting: ReturnType<typeof setTimeout> | undefined;

  const paint = (): void => {
    if (!watch.hasLooked) {
      return; // the kernel's state may be about another user
    }
    const said = { session: model.get('session_state'), banner: model.get('state') };
    const found = withKernelsWord(watch, said);
    const page = window[PAGE];
    const madeUp = madeUpOf(model.get('made_up'));
    page?.hear(texts(), found, madeUp);
    banner.show(page ? WELL : found);
    banner.note(page ? [] : watch.consents, page ? null : madeUp);
    report();
  };
  const report = (): void => {
    const { state } = watch.found;
    if (watch.canAsk && state !== reported) {
      reported = state;
      clearTimeout(reporting);
      // If a page's socket carries a message of an ended login, the server closes it, and the app's
      // remaining output is lost. The kernel mostly learns of the end by itself, within a second.
      reporting = setTimeout(send, isOver(state) ? TELLING_MS : 0, model, state);
    }
  };
  const dress = (): void => banner.use(texts());
  const hear = (): void => {
    paint();
    void watch.check(); // the kernel reports a change of some login: is it ours?
  };
  const listen = (event: string, call: () => void): void => {
    model.on(event, call);
    watch.disposing.addEventListener('abort', () => model.off(event, call));
  };
  dress();
  listen('change:texts', dress);
  listen('change:state', hear);
  listen('change:session_state', hear);
  window.addEventListener(PAGE_EVENT, paint, { signal: watch.disposing });
  watch.disposing.addEventListener('abort', () => clearTimeout(reporting));
  start(watch);
  return () => watch.dispose();
}

/** Tell the kernel what this browser has found. */
function send(model: IModel, state: BannerState): void {
  if (isOver(state) && model.get('session_state') === state) {
    return;
  }
  try {
    // With the time, or the same state from a second browser would be no change.
    model.set('seen', { state, at: Date.now() });
    model.save_changes();
  } catch {
    // A saved notebook without its kernel: no user to inform.
  }
}
