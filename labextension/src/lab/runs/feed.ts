/** The runs of one kernel, as its server says. No view. */
import type { IClock } from '../../shared/clock.js';
import { type Ask, isRefusal } from '../../shared/client.js';
import { decodeRuns, type IRun } from './decode.js';

/** When to show who ran a cell. */
export type ShowRuns = 'auto' | 'always' | 'never';

/** Milliseconds: a "Run All" of quick cells is one question, or two. */
const SOON = 250;
/** While a cell runs, its end may be missed: by a reply that passes another websocket later. */
const FIRST_LOOK = 2_000;
const LAST_LOOK = 60_000;

/**
 * Follows one kernel.
 *
 * A message of the kernel is no more than a reason to ask: code in the kernel can send any message.
 * Only the server's answer names people.
 */
export class RunFeed {
  constructor(
    private readonly _kernelId: string,
    private readonly _ask: Ask,
    private readonly _clock: IClock,
    private readonly _changed: () => void
  ) {
    this._soon(0);
  }

  /** Whether several users, or a user and an agent, have used the kernel. */
  get isShared(): boolean {
    return this._isShared;
  }

  of(cellId: string): IRun | undefined {
    return this._runs.get(cellId);
  }

  /**
   * The kernel has begun or ended something.
   *
   * @param isOwn - Whether this page's own connection had asked for it.
   * @param show - The setting.
   */
  hint(isOwn: boolean, show: ShowRuns): void {
    // While nobody else uses the kernel, running a cell asks nothing.
    if (!isOwn || this._isShared || show === 'always') {
      this._look = FIRST_LOOK;
      this._soon(SOON);
    }
  }

  dispose(): void {
    this._isOff = true;
    this._cancel?.();
  }

  private _soon(wait: number): void {
    if (this._isOff || this._due !== null) {
      this._again ||= this._due === 'asking';
      return;
    }
    this._cancel?.();
    this._due = 'waiting';
    this._cancel = this._clock.after(wait, () => void this._question());
  }

  private async _question(): Promise<void> {
    this._due = 'asking';
    this._again = false;
    try {
      await this._update();
    } catch (reason) {
      console.warn('jupyter-session-user', reason);
    }
    this._due = null;
    if (this._again) {
      this._soon(SOON);
    } else if (!this._isOff && this._isRunning()) {
      this._cancel = this._clock.after(this._look, () => this._soon(0));
      this._look = Math.min(LAST_LOOK, this._look * 2);
    }
  }

  private async _update(): Promise<void> {
    const path = `api/session-user/kernels/${encodeURIComponent(this._kernelId)}/runs`;
    const response = await this._ask(`${path}?after=${this._version}`);
    if (this._isOff || response === null) {
      return;
    }
    if (response.status !== 200) {
      // The names of others leave the page with the login; a 404 stays one.
      this._isOff = response.status === 404;
      if (this._isOff || isRefusal(response)) {
        this._version = 0;
        this._isShared = false;
        this._runs.clear();
        this._changed();
      }
      return;
    }
    const { isShared, runs, version } = decodeRuns(await response.json());
    if (version < this._version) {
      this._runs.clear(); // another server, which has sent all that it knows
    }
    const isNew = isShared !== this._isShared || runs.length > 0 || version < this._version;
    this._isShared = isShared;
    this._version = version;
    for (const run of runs) {
      if (run.status === 'aborted') {
        this._runs.delete(run.cellId);
      } else {
        this._runs.set(run.cellId, run);
      }
    }
    if (isNew) {
      this._changed();
    }
  }

  private _isRunning(): boolean {
    return [...this._runs.values()].some(({ status }) => status === null);
  }

  private readonly _runs = new Map<string, IRun>();
  private _again = false;
  private _cancel: (() => void) | null = null;
  private _due: 'waiting' | 'asking' | null = null;
  private _isOff = false;
  private _isShared = false;
  private _look = FIRST_LOOK;
  private _version = 0;
}
