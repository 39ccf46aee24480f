/** When a page checks its login: whenever the login may have changed elsewhere. */
import type { LoginModel } from './model.js';
import { CHANNEL } from './popup.js';

export function followPage(model: LoginModel): void {
  const options = { signal: model.disposing, capture: true };
  const check = (): void => void model.check();
  const onVisibility = (): void => (document.hidden ? undefined : check());
  document.addEventListener('visibilitychange', onVisibility, options);
  window.addEventListener('online', check, options);
  if ('BroadcastChannel' in globalThis) {
    const channel = new BroadcastChannel(CHANNEL);
    channel.addEventListener('message', check, options);
    model.disposing.addEventListener('abort', () => channel.close());
  }
}
