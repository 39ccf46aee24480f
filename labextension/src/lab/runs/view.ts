/** The badges of one notebook. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import type { Ask } from '../../shared/client.js';
import { CLOCK } from '../../shared/clock.js';
import { Badge } from './badge.js';
import { decodeRecorded, encodeRun, type IRun } from './decode.js';
import { RunFeed, type ShowRuns } from './feed.js';

/** In a cell's metadata. */
const METADATA = 'jupyter_session_user';
/** The cells that have a badge. */
const RAN = 'jp-SessionUser-ran';

/** The parts of JupyterLab's notebook that matter here; its package is not among ours. */
export interface ICell extends Widget {
  readonly model: {
    readonly id: string;
    readonly type: string;
    getMetadata(key: string): unknown;
    setMetadata(key: string, value: unknown): void;
  };
}

export interface INotebook extends Widget {
  readonly widgets: readonly ICell[];
  readonly activeCell: ICell | null;
  readonly activeCellChanged: ISignal<unknown, unknown>;
  readonly model: { readonly cells: { readonly changed: ISignal<unknown, unknown> } } | null;
  readonly modelChanged: ISignal<unknown, unknown>;
}

export interface IPanel extends Widget {
  readonly content: INotebook;
  readonly sessionContext: ISessionContext;
}

export interface IViewSettings {
  readonly show: ShowRuns;
  /** Whether the notebook's file keeps who ran a cell. */
  readonly keep: boolean;
}

export interface IViewOptions {
  readonly ask: Ask;
  readonly trans: TranslationBundle;
  /** The username of the user at this page; null if it is not known. */
  me(): string | null;
  settings(): IViewSettings;
  /** Show all that is known of a run. */
  say(run: IRun): void;
}

function isHint({ header, content }: KernelMessage.IMessage): boolean {
  return (
    header.msg_type === 'execute_input' ||
    (header.msg_type === 'status' && 'execution_state' in content && content.execution_state === 'idle')
  );
}

export class RunsView {
  constructor(
    private readonly _panel: IPanel,
    private readonly _options: IViewOptions
  ) {
    const { content, sessionContext } = _panel;
    sessionContext.kernelChanged.connect(this._onKernel, this);
    sessionContext.iopubMessage.connect(this._onMessage, this);
    content.activeCellChanged.connect(this.update, this);
    content.modelChanged.connect(this._onModel, this);
    _panel.disposed.connect(() => this._feed?.dispose());
    this._onModel();
    this._onKernel();
  }

  /** The run of the active cell, if it is shown. */
  get active(): IRun | null {
    const cell = this._panel.content.activeCell;
    return cell === null ? null : this._runOf(cell);
  }

  /** Draw again, once for all that happens before the next frame. */
  update(): void {
    if (!this._isDue) {
      this._isDue = true;
      // No animation frame: a hidden page has none, and keeps the names of others.
      setTimeout(() => this._draw());
    }
  }

  private _onKernel(): void {
    const kernel = this._kernel;
    if (kernel?.id !== this._kernelId) {
      this._kernelId = kernel?.id;
      this._feed?.dispose();
      this._feed =
        kernel === null
          ? null
          : new RunFeed(kernel.id, this._options.ask, CLOCK, () => this.update());
      this.update();
    }
  }

  private _onMessage(_: ISessionContext, message: KernelMessage.IMessage): void {
    if (isHint(message)) {
      const parent = message.parent_header;
      const isOwn = 'session' in parent && parent.session === this._kernel?.clientId;
      const { show } = this._options.settings();
      if (show !== 'never') {
        this._feed?.hint(isOwn, show);
      }
    }
  }

  private _onModel(): void {
    this._panel.content.model?.cells.changed.connect(this.update, this);
    this.update();
  }

  private get _kernel(): Kernel.IKernelConnection | null {
    return this._panel.sessionContext.session?.kernel ?? null;
  }

  private _runOf(cell: ICell): IRun | null {
    const { keep, show } = this._options.settings();
    if (cell.model.type !== 'code' || show === 'never') {
      return null;
    }
    const run = this._feed?.of(cell.model.id);
    if (run !== undefined && (show === 'always' || this._feed?.isShared)) {
      return run;
    }
    return keep ? decodeRecorded(cell.model.id, cell.model.getMetadata(METADATA)) : null;
  }

  private _draw(): void {
    this._isDue = false;
    if (this._panel.isDisposed) {
      return;
    }
    const { activeCell, widgets } = this._panel.content;
    for (const cell of widgets) {
      const run = this._runOf(cell);
      const badge = this._badges.get(cell);
      cell.node.classList.toggle(RAN, run !== null);
      if (run === null) {
        badge?.node.remove();
        continue;
      }
      this._drawOne(cell, run, badge ?? this._newBadge(cell), cell === activeCell);
    }
  }

  private _drawOne(cell: ICell, run: IRun, badge: Badge, isActive: boolean): void {
    badge.show(run, Date.now(), this._options.trans);
    // One stop for Tab, not one for each cell: the arrow keys choose the cell.
    badge.node.tabIndex = isActive ? 0 : -1;
    if (badge.node.parentElement !== cell.node) {
      cell.node.append(badge.node);
    }
    this._keep(cell, run);
  }

  private _newBadge(cell: ICell): Badge {
    const badge = new Badge(() => {
      const run = this._runOf(cell);
      if (run !== null) {
        this._options.say(run);
      }
    });
    this._badges.set(cell, badge);
    return badge;
  }

  /** Write a run of this user's own into the notebook: each page writes those of its user. */
  private _keep(cell: ICell, run: IRun): void {
    const isMine = run.who !== null && run.who.username === this._options.me();
    if (!this._options.settings().keep || run.isRecorded || run.status === null || !isMine) {
      return;
    }
    const kept = decodeRecorded(cell.model.id, cell.model.getMetadata(METADATA));
    if (kept?.start !== run.start || kept.end !== run.end) {
      cell.model.setMetadata(METADATA, encodeRun(run));
    }
  }

  private readonly _badges = new WeakMap<ICell, Badge>();
  private _feed: RunFeed | null = null;
  private _isDue = false;
  private _kernelId: string | undefined;
}
