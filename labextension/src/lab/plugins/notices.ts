/** Notifies that a login ends, is over, or is good again. No notification takes the focus. */
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { areTwoPeople, isOver } from '../../shared/login.js';
import type { ISessionInfo } from '../../shared/types.js';
import type { IReturn, ISessionUserModel } from '../tokens.js';
import { healedNotice, overNotice, userChangedNotice, warningNotice } from '../words.js';
import { followSettings, isOn, LOG_IN, plugin } from './plugin.js';

const TOAST_MS = 5000;

/** Show a notification with a button to log in, and return its id. */
export function loginNotice(
  message: string,
  type: 'warning' | 'info',
  label: string,
  logIn: () => void
): string {
  const action: Notification.IAction = {
    label,
    displayType: 'accent',
    callback: event => {
      event.preventDefault(); // the notice stays until the login is good again
      logIn();
    }
  };
  return Notification.emit(message, type, { autoClose: false, actions: [action] });
}

class Notices {
  constructor(
    private readonly _model: ISessionUserModel,
    private readonly _trans: TranslationBundle,
    private readonly _logIn: () => void
  ) {
    _model.stateChanged.connect(this._onState, this);
    _model.returned.connect(this._onReturn, this);
    this._onState();
  }

  /** Whether the user wants notifications at all. */
  set enabled(value: boolean) {
    if (value !== this._enabled) {
      this._enabled = value;
      this._onState();
    }
  }

  private _onState(): void {
    const { state } = this._model;
    if (this._shown !== null) {
      Notification.dismiss(this._shown);
      this._shown = null;
    }
    if (this._enabled && isOver(state)) {
      this._show(overNotice(state, this._trans), 'warning');
    } else if (this._enabled && state === 'expiring') {
      this._warn(this._model);
    }
  }

  /** Once for each end of each login. */
  private _warn({ session, left }: ISessionUserModel): void {
    const end = `${session?.id} ${session?.expiresAt}`;
    if (session !== null && left !== null && left > 0 && end !== this._warned) {
      this._warned = end;
      this._show(warningNotice(session, left, this._trans), 'info');
    }
  }

  private _onReturn(_model: ISessionUserModel, change: IReturn): void {
    if (!this._enabled) {
      return;
    }
    const isBack = this._owner !== null;
    const before = this._owner ?? change.before;
    Notification.dismiss(this._foreign);
    if (areTwoPeople(before, change.session)) {
      const message = userChangedNotice({ ...change, before }, this._trans);
      const label = this._trans.__('Log in as a different user');
      this._owner = before;
      this._foreign = loginNotice(message, 'warning', label, this._logIn);
      return;
    }
    this._owner = null;
    if (change.wasOver || isBack) {
      const message = healedNotice(change.session, this._trans);
      Notification.success(message, { autoClose: TOAST_MS });
    }
  }

  private _show(message: string, type: 'warning' | 'info'): void {
    this._shown = loginNotice(message, type, this._trans.__('Log in again'), this._logIn);
  }

  private _shown: string | null = null;
  /** The user of what is open here, while a different user is logged in. */
  private _owner: ISessionInfo | null = null;
  private _foreign = '';
  private _warned = '';
  private _enabled = true;
}

export const noticesPlugin = plugin(
  'jupyter-session-user:notices',
  'Notifies when a login ends.',
  ({ app, model, trans, registry }) => {
    const logIn = (): void => void app.commands.execute(LOG_IN);
    // JupyterLab drops notifications from before it was ready.
    void app.restored.then(() => {
      const notices = new Notices(model, trans, logIn);
      followSettings(registry, settings => (notices.enabled = isOn(settings, 'notifications')));
    });
  }
);
