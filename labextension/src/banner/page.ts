/** When a page of the banner checks: at once, when the user comes back, and at each click. */
import { followPage } from '../shared/page.js';
import type { Watch } from './watch.js';

/** Lasts until the watch is disposed. */
export function start(watch: Watch): void {
  const options = { signal: watch.disposing, capture: true };
  followPage(watch);
  // A click in a page with an ended login must show the end at once.
  document.addEventListener('pointerdown', () => watch.checkIfOld(), options);
  document.addEventListener('keydown', () => watch.checkIfOld(), options);
  window.addEventListener('beforeunload', () => watch.leave(), options);
  void watch.check();
}
