/** Notifies the pages that wait for a login, and closes this window if it was opened only for that. */
import { CHANNEL } from '../shared/popup.js';

if ('BroadcastChannel' in globalThis) {
  new BroadcastChannel(CHANNEL).postMessage('signed in');
}
if (document.body.dataset.close === 'true') {
  window.close();
}
