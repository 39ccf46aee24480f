/** Notifications of services that give no access token until the user agrees. */
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IConsent } from '../../shared/types.js';
import type { ISessionUserModel } from '../tokens.js';
import { consentLabel, consentNotice } from './words.js';

export class ConsentNotices {
  constructor(
    private readonly _model: ISessionUserModel,
    private readonly _trans: TranslationBundle
  ) {
    _model.consentsChanged.connect(() => this._update());
    this._update();
  }

  /** Whether the user wants notifications at all. */
  set enabled(value: boolean) {
    this._enabled = value;
    this._update();
  }

  /** One notice for each service; one that the user has closed does not come back. */
  private _update(): void {
    const waiting = new Map(
      (this._enabled ? this._model.consents : []).map(one => [JSON.stringify(one), one])
    );
    for (const [key, id] of this._shown) {
      if (!waiting.has(key)) {
        Notification.dismiss(id);
        this._shown.delete(key);
      }
    }
    for (const [key, consent] of waiting) {
      if (!this._shown.has(key)) {
        this._shown.set(key, this._show(consent));
      }
    }
  }

  private _show(consent: IConsent): string {
    const { link } = consent;
    const open: Notification.IAction[] = link === null ? [] : [this._button(link)];
    const message = consentNotice(consent, this._trans);
    return Notification.emit(message, 'warning', { autoClose: false, actions: open });
  }

  private _button(link: string): Notification.IAction {
    return {
      label: consentLabel(link, this._trans),
      displayType: 'accent',
      callback: event => {
        event.preventDefault(); // the notice stays until there is a token
        window.open(link, '_blank', 'noopener');
      }
    };
  }

  /** The notifications by what they are about. */
  private readonly _shown = new Map<string, string>();
  private _enabled = true;
}
