/** Notifies the pages that wait for a login, and closes this window. */
import { CHANNEL } from '../shared/popup.js';

if ('BroadcastChannel' in globalThis) {
  new BroadcastChannel(CHANNEL).postMessage('signed in');
}
window.close();
