/** Who ran each cell: loaded when the first notebook opens. */
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import type { Ask } from '../../shared/client.js';
import type { ISessionUserModel } from '../tokens.js';
import css from './css.js';
import { type IPanel, type IViewSettings, RunsView } from './view.js';
import { labelOf } from './words.js';

const TOAST_MS = 8000;
/** JupyterLab shows no more of a notification. */
const MAX_MESSAGE = 140;

export class Runs {
  constructor(
    private readonly _model: ISessionUserModel,
    private readonly _ask: Ask,
    private readonly _trans: TranslationBundle
  ) {
    document.head.append(Object.assign(document.createElement('style'), { textContent: css }));
  }

  /** Show the runs of a notebook's cells from now on. */
  add(panel: Widget): void {
    const view = new RunsView(panel as IPanel, {
      ask: this._ask,
      trans: this._trans,
      me: () => this._model.session?.user.username ?? null,
      settings: () => this._settings,
      say: run => this._say(labelOf(run, Date.now(), this._trans))
    });
    this._views.set(panel, view);
    panel.disposed.connect(() => this._views.delete(panel));
  }

  configure(settings: IViewSettings): void {
    this._settings = settings;
    this._views.forEach(view => view.update());
  }

  /** Say who ran the active cell of a notebook. */
  sayActive(widget: Widget | null): void {
    const run = widget === null ? null : this._views.get(widget)?.active;
    const nobody = this._trans.__('No run of this cell is shown');
    this._say(run ? labelOf(run, Date.now(), this._trans) : nobody);
  }

  private _say(message: string): void {
    Notification.info(message.slice(0, MAX_MESSAGE), { autoClose: TOAST_MS });
  }

  private _settings: IViewSettings = { show: 'never', keep: false }; // until they are known
  private readonly _views = new Map<Widget, RunsView>();
}
