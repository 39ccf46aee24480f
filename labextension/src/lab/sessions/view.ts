/** The table of all sessions of the server, with a filter, and a button to revoke each login. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Ask } from '../../shared/client.js';
import { element } from '../../shared/dom.js';
import { personOf } from '../runs/words.js';
import { type Send, sendThrough } from '../send.js';
import { decodeRows, type ISessionRow } from './decode.js';
import { cellsOf, headings, matches } from './words.js';

const SESSIONS = 'api/session-user/sessions';

export interface ISessionsOptions {
  readonly ask: Ask;
  readonly trans: TranslationBundle;
  /** The id of the session of this page: its login has no button. */
  me(): string | null;
  /** Ask the administrator before a login is revoked. */
  confirm(person: string): Promise<boolean>;
}

export class SessionsView {
  constructor(private readonly _options: ISessionsOptions) {
    const { ask, trans } = _options;
    this._send = sendThrough(ask, trans);
    const label = element('label', '', trans.__('Filter'));
    label.append(this._filter);
    this._filter.addEventListener('input', () => this._render());
    const head = this._table.createTHead().insertRow();
    this._headings = headings(trans);
    [...this._headings, ''].forEach(text => {
      head.append(element(text === '' ? 'td' : 'th', '', text, text === '' ? {} : { scope: 'col' }));
    });
    this._table.setAttribute('aria-label', trans.__('Sessions'));
    const scroll = element('div', 'jp-SessionUser-scroll', '', { tabindex: '0' });
    scroll.append(this._table);
    this.node.append(label, this._status, this._alert, scroll);
  }

  /** Ask the server now; an error is shown, and the rows stay. */
  async refresh(): Promise<void> {
    await this._do(() => this._load());
  }

  /** Remove all names: the login of this page is over. */
  clear(): void {
    this._rows = [];
    this._render();
  }

  private async _load(): Promise<void> {
    this._rows = decodeRows(await (await this._send(SESSIONS, {}, 200)).json());
  }

  private async _revoke(row: ISessionRow): Promise<void> {
    const person = personOf(row, this._options.trans);
    if (await this._options.confirm(person)) {
      await this._do(async () => {
        await this._send(`${SESSIONS}/${encodeURIComponent(row.id)}`, { method: 'DELETE' }, 204);
        await this._load();
        this._status.textContent = this._options.trans.__('The login of %1 is revoked.', person);
      });
    }
  }

  private async _do(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this._alert.textContent = '';
    } catch (reason) {
      this._alert.textContent = reason instanceof Error ? reason.message : String(reason);
    }
    this._render();
  }

  private _render(): void {
    const rows = this._rows.filter(row => matches(row, this._filter.value));
    // Nothing moves under the pointer, and nothing is read out again, while nothing changes.
    const now = Date.now();
    const texts = JSON.stringify(rows.map(row => [row.id, cellsOf(row, now, this._options.trans)]));
    if (texts !== this._shown) {
      this._shown = texts;
      const focused = document.activeElement?.getAttribute('data-session');
      const body = element('tbody', '', '', { role: 'rowgroup' });
      body.append(...rows.map(row => this._row(row, now)));
      this._table.tBodies[0]?.remove();
      this._table.append(body);
      if (focused) {
        body.querySelector<HTMLElement>(`[data-session='${CSS.escape(focused)}']`)?.focus();
      }
    }
    const { trans } = this._options;
    this._table.caption?.remove();
    const counted = trans._n('%1 session', '%1 sessions', rows.length);
    this._table.createCaption().textContent = counted;
  }

  private _row(row: ISessionRow, now: number): HTMLElement {
    const { me, trans } = this._options;
    // Where there is little room, each row is a list. The roles keep it a row for screen readers.
    const line = element('tr', '', '', { role: 'row' });
    cellsOf(row, now, trans).forEach((text, at) => {
      line.append(
        at === 0
          ? element('th', '', text, { scope: 'row', role: 'rowheader' })
          : element('td', '', text, { role: 'cell', 'data-label': this._headings[at] ?? '' })
      );
    });
    const last = element('td', '', '', { role: 'cell' });
    if (row.id === me()) {
      last.textContent = trans.__('This page');
    } else {
      const button = element('button', 'jp-mod-styled', trans.__('Revoke'), {
        type: 'button',
        'aria-label': trans.__('Revoke the login of %1', personOf(row, trans)),
        'data-session': row.id
      });
      button.addEventListener('click', () => void this._revoke(row));
      last.append(button);
    }
    line.append(last);
    return line;
  }

  readonly node = element('div', 'jp-SessionUser-sessions');
  private readonly _filter = element('input', 'jp-mod-styled', '', { type: 'search' });
  private readonly _table = element('table', '', '', { role: 'table' });
  private readonly _headings: readonly string[];
  private readonly _status = element('p', '', '', { role: 'status' });
  private readonly _alert = element('p', 'jp-SessionUser-alert', '', { role: 'alert' });
  private _rows: readonly ISessionRow[] = [];
  private _shown = '';
  private readonly _send: Send;
}
