/** A session in words. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { personOf } from '../runs/words.js';
import type { ISessionRow } from './decode.js';

/** The time of day; on another day, the date as well. */
function timeOf(instant: string | null, now: number, trans: TranslationBundle): string {
  if (instant === null) {
    return trans.__('Unknown');
  }
  const then = new Date(instant);
  return then.toDateString() === new Date(now).toDateString()
    ? then.toLocaleTimeString(undefined, { timeStyle: 'short' })
    : then.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

function placeOf({ kernelId, path }: ISessionRow, trans: TranslationBundle): string {
  return path ?? (kernelId === null ? trans.__('No kernel') : kernelId.slice(0, 8));
}

/** The time, and enough of the cell's id to find it in the notebook's file. */
function lastCellOf({ lastCell }: ISessionRow, now: number, trans: TranslationBundle): string {
  if (lastCell === null) {
    return '';
  }
  const time = timeOf(lastCell.start, now, trans);
  return lastCell.id === null ? time : trans.__('%1, cell %2', time, lastCell.id.slice(0, 8));
}

export function headings(trans: TranslationBundle): string[] {
  return [
    trans.__('User'),
    trans.__('Agent'),
    trans.__('Notebook or kernel'),
    trans.__('Last cell'),
    trans.__('Logged in since'),
    trans.__('Last request'),
    trans.__('Login ends')
  ];
}

/** One text for each heading. */
export function cellsOf(row: ISessionRow, now: number, trans: TranslationBundle): string[] {
  return [
    personOf(row, trans),
    row.agent ?? '',
    placeOf(row, trans),
    lastCellOf(row, now, trans),
    timeOf(row.since, now, trans),
    timeOf(row.lastSeen, now, trans),
    timeOf(row.expiresAt, now, trans)
  ];
}

/** Whether a row has each word of the filter, in any of its texts. */
export function matches(row: ISessionRow, filter: string): boolean {
  const { agent, displayName, kernelId, path, username } = row;
  const texts = [displayName, username, agent, path, kernelId].join('\n').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every(word => texts.includes(word));
}
