import { overTexts } from '../shared/words.js';

/** Every text of the banner. `texts` replaces some or all of them. */
export type Texts = Readonly<Record<string, string>>;

export const TEXTS = Object.freeze({
  label: 'Login',
  expiring: 'Your login ends in {time}.',
  expiring_estimated: 'Your login may end in {time}.',
  expiring_unknown: 'Your login ends soon.',
  ...overTexts({ __: text => text }),
  expired_app: 'Your login has expired. Reload the page to log in again.',
  signed_out_app: 'You are logged out. Reload the page to log in again.',
  revoked_app: 'Your login was revoked. Reload the page to log in again.',
  stale: 'You have logged in again. Reload this page to go on.',
  user_changed: 'A different user has logged in. This page belongs to {name}.',
  unreachable: 'The server cannot be reached. Trying again…',
  kernel_ended: 'The kernel has ended. Restart it to go on; its variables are lost.',
  kernel_ended_app: 'This app has ended. Reload the page to start it again.',
  minutes: '{n} min',
  soon: 'less than a minute',
  log_in: 'Log in again',
  reload: 'Reload the page',
  retry: 'Try now',
  hide: 'Hide',
  consent: 'The service “{service}” needs your consent.',
  agree: 'Give consent',
  made_up: 'Made-up user “{user}” ({by}). This is not a login.',
  blocked: 'The browser opened no window. Allow pop-ups for this page, or use this link:',
  log_in_tab: 'Log in in another tab'
});
