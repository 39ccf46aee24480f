/** JupyterLab's notifications about the login. None of them takes the focus. */
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { areTwoPeople, isOver } from './login.js';
import type { IReturn, ISessionUserModel, LoginState } from './tokens.js';
import { healedNotice, overNotice, strangerNotice, warningNotice } from './words.js';

const TOAST_MS = 5000;

export class Notices implements IDisposable {
  constructor(options: Notices.IOptions) {
    this._options = options;
    options.model.stateChanged.connect(this._onState, this);
    options.model.returned.connect(this._onReturn, this);
    this._onState(options.model, options.model.state);
  }

  /** Whether the user wants notifications at all. */
  set enabled(value: boolean) {
    if (value !== this._enabled) {
      this._enabled = value;
      this._onState(this._options.model, this._options.model.state);
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._options.model.stateChanged.disconnect(this._onState, this);
    this._options.model.returned.disconnect(this._onReturn, this);
    this._dismiss();
  }

  private _onState(model: ISessionUserModel, state: LoginState): void {
    this._dismiss();
    if (!this._enabled) {
      return;
    }
    if (isOver(state)) {
      this._show(overNotice(state, this._options.trans), 'warning');
    } else if (state === 'expiring') {
      this._warn(model);
    }
  }

  /** Once for each end of each login. */
  private _warn({ session, left }: ISessionUserModel): void {
    const end = `${session?.id} ${session?.expiresAt}`;
    if (session !== null && left !== null && left > 0 && end !== this._warned) {
      this._warned = end;
      this._show(warningNotice(session, left, this._options.trans), 'info');
    }
  }

  private _onReturn(_model: ISessionUserModel, change: IReturn): void {
    const { trans } = this._options;
    if (!this._enabled) {
      return;
    }
    if (change.wasOver) {
      Notification.success(healedNotice(change.session, trans), { autoClose: TOAST_MS });
    }
    if (areTwoPeople(change.before, change.session)) {
      Notification.warning(strangerNotice(change, trans), { autoClose: false });
    }
  }

  private _show(message: string, type: 'warning' | 'info'): void {
    const { trans, logIn } = this._options;
    const action: Notification.IAction = {
      label: trans.__('Log in again'),
      displayType: 'accent',
      callback: event => {
        event.preventDefault(); // the notice stays until the login is good again
        logIn();
      }
    };
    this._shown = Notification.emit(message, type, { autoClose: false, actions: [action] });
  }

  private _dismiss(): void {
    if (this._shown !== null) {
      Notification.dismiss(this._shown);
      this._shown = null;
    }
  }

  private readonly _options: Notices.IOptions;
  private _shown: string | null = null;
  private _warned = '';
  private _enabled = true;
  private _isDisposed = false;
}

export namespace Notices {
  export interface IOptions {
    readonly model: ISessionUserModel;
    readonly trans: TranslationBundle;
    /** Called within the click: browsers open no window later. */
    logIn(): void;
  }
}
