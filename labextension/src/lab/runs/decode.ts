/** Reads what the server says about runs, and what a notebook's file says. Pure. */
import { flag, list, number, object, optional, text } from '../../shared/decode.js';
import { initialsOf } from '../../shared/initials.js';

/** The person and the agent of a run. */
export interface IRunner {
  readonly username: string;
  readonly displayName: string;
  readonly initials: string;
  readonly color: string | null;
  /** Whether the server has authenticated the person. */
  readonly verified: boolean;
  /** The name of the agent that acted for the person, or null. */
  readonly agent: string | null;
}

/** The latest run of a cell. Times are in milliseconds since the epoch. */
export interface IRun {
  readonly cellId: string;
  /** Null for a user that the server does not know. */
  readonly who: IRunner | null;
  readonly start: number;
  /** Null while it runs, or if the server has not seen the end. */
  readonly end: number | null;
  /** Null while it runs. */
  readonly status: string | null;
  /** Whether only the notebook's file says so: anybody may have written it. */
  readonly isRecorded: boolean;
}

export interface IRuns {
  /** Whether several users, or a user and an agent, have used the kernel. */
  readonly isShared: boolean;
  readonly version: number;
  readonly runs: readonly IRun[];
}

/** Characters that are shown of a name. */
const MAX_NAME = 80;

/** A name on one line, of bounded length. */
function nameOf(given: string): string {
  // eslint-disable-next-line no-control-regex -- those, and what changes the direction of text
  const line = given.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, ' ');
  const letters = Array.from(line.trim());
  return letters.length > MAX_NAME ? `${letters.slice(0, MAX_NAME).join('')}…` : letters.join('');
}

function decodeRunner(value: unknown): IRunner {
  const fields = object({ who: value }, 'who');
  const username = nameOf(text(fields, 'username'));
  const displayName = nameOf(optional(text, fields, 'display_name') ?? '') || username;
  const agent = optional(text, fields, 'agent');
  return {
    username,
    displayName,
    initials: initialsOf(optional(text, fields, 'initials') ?? '', displayName, username),
    color: optional(text, fields, 'color'),
    verified: flag(fields, 'verified'),
    agent: agent === null ? null : nameOf(agent)
  };
}

function decodeRun(value: unknown, isRecorded: boolean): IRun {
  const fields = object({ run: value }, 'run');
  const end = optional(number, fields, 'end');
  const hasWho = fields.who !== undefined && fields.who !== null;
  return {
    cellId: text(fields, 'cell_id'),
    who: hasWho ? decodeRunner(fields.who) : null,
    start: number(fields, 'start') * 1000,
    end: end === null ? null : end * 1000,
    status: optional(text, fields, 'status'),
    isRecorded
  };
}

export function decodeRuns(value: unknown): IRuns {
  const fields = object({ answer: value }, 'answer');
  return {
    isShared: flag(fields, 'shared'),
    version: number(fields, 'version'),
    runs: list(fields, 'runs').map(run => decodeRun(run, false))
  };
}

/** What is kept in a cell's metadata. */
export function encodeRun({ who, start, end, status }: IRun): unknown {
  const shown =
    who === null
      ? null
      : { username: who.username, display_name: who.displayName, agent: who.agent };
  return { who: shown, start: start / 1000, end: end === null ? null : end / 1000, status };
}

/** What a cell's metadata says; null if it says nothing that can be read. */
export function decodeRecorded(cellId: string, value: unknown): IRun | null {
  try {
    const fields = object({ run: value }, 'run');
    const who =
      fields.who === null
        ? null
        : { ...object(fields, 'who'), color: null, initials: null, verified: false };
    const run = decodeRun({ ...fields, who, cell_id: cellId }, true);
    return Number.isFinite(new Date(run.start).getTime()) ? run : null;
  } catch {
    return null; // anybody may have written it
  }
}
