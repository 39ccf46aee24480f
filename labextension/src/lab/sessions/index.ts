/**
 * All sessions, in a tab of JupyterLab or a dialog of Notebook 7: loaded when they are opened. They
 * ask the server only while they show.
 */
import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { Ask } from '../../shared/client.js';
import { BodyDialog } from '../bodyDialog.js';
import type { ISessionUserModel } from '../tokens.js';
import css from './css.js';
import { SessionsView } from './view.js';

const REFRESH_MS = 5000;

document.head.append(Object.assign(document.createElement('style'), { textContent: css }));

class SessionsPanel extends Widget {
  constructor(
    private readonly _view: SessionsView,
    private readonly _model: ISessionUserModel
  ) {
    super({ node: _view.node });
    _model.changed.connect(this._onUser, this);
  }

  override dispose(): void {
    this._model.changed.disconnect(this._onUser, this);
    window.clearInterval(this._timer);
    super.dispose();
  }

  protected override onAfterShow(): void {
    this._start();
  }

  protected override onAfterAttach(): void {
    this._start();
  }

  protected override onAfterHide(): void {
    window.clearInterval(this._timer);
  }

  private _start(): void {
    window.clearInterval(this._timer);
    const ask = (): void => {
      if (this.isVisible && !document.hidden && this._model.session?.manages === true) {
        void this._view.refresh();
      }
    };
    this._timer = window.setInterval(ask, REFRESH_MS);
    ask();
  }

  private _onUser(): void {
    if (this._model.session?.manages !== true) {
      this._view.clear(); // the names of users must leave the page as soon as the login ends
    }
  }

  private _timer = 0;
}

async function mayRevoke(person: string, trans: TranslationBundle): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('Revoke the login of %1?', person),
    body: trans.__('All sessions of this login end, on every kernel. Kernels go on.'),
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Revoke') })],
    defaultButton: 0
  });
  return button.accept;
}

export function makeSessionsTab(
  model: ISessionUserModel,
  ask: Ask,
  trans: TranslationBundle
): MainAreaWidget {
  const view = new SessionsView({
    ask,
    trans,
    me: () => model.session?.id ?? null,
    confirm: person => mayRevoke(person, trans)
  });
  const tab = new MainAreaWidget({ content: new SessionsPanel(view, model) });
  tab.id = 'jupyter-session-user-sessions';
  tab.title.label = trans.__('Sessions');
  tab.title.closable = true;
  return tab;
}

/** Show the sessions where pages have no tabs, as in Notebook 7. */
export function showSessionsDialog(
  model: ISessionUserModel,
  ask: Ask,
  trans: TranslationBundle
): void {
  let dialog: BodyDialog | null = null;
  const view = new SessionsView({
    ask,
    trans,
    me: () => model.session?.id ?? null,
    confirm: async person => {
      dialog?.reject(); // a second dialog would wait for the end of this one
      const isConfirmed = await mayRevoke(person, trans);
      return show() && isConfirmed;
    }
  });
  const show = (): boolean => {
    if (model.session?.manages !== true) {
      return false; // the login has ended meanwhile
    }
    const shown = new BodyDialog({
      title: trans.__('Sessions'),
      body: new SessionsPanel(view, model),
      buttons: [Dialog.cancelButton({ label: trans.__('Close') })],
      focusNodeSelector: 'input'
    });
    shown.addClass('jp-SessionUser-sessionsDialog');
    const close = (): void => {
      if (model.session?.manages !== true) {
        shown.reject();
      }
    };
    model.changed.connect(close);
    void shown.launch().finally(() => model.changed.disconnect(close));
    dialog = shown;
    return true;
  };
  show();
}
