/** Reads the list of sessions that an administrator gets. Pure. */
import { instant, list, object, optional, text } from '../../shared/decode.js';

/** What a session ran last. */
export interface ILastCell {
  /** As the page that ran it says; null for code outside of a notebook. */
  readonly id: string | null;
  /** An ISO 8601 instant. */
  readonly start: string;
}

/** A login at a kernel, or at the pages of the server. */
export interface ISessionRow {
  readonly id: string;
  readonly username: string;
  readonly displayName: string;
  /** The name of the agent that acts for the person, or null. */
  readonly agent: string | null;
  /** Null for a login at the pages of the server. */
  readonly kernelId: string | null;
  /** The path of the kernel's notebook, if it has one. */
  readonly path: string | null;
  /** ISO 8601 instants. */
  readonly since: string;
  readonly lastSeen: string;
  readonly expiresAt: string | null;
  readonly state: string;
  /** Null if it has run nothing, or if the server does not say. */
  readonly lastCell: ILastCell | null;
}

function decodeRow(value: unknown): ISessionRow {
  const fields = object({ session: value }, 'session');
  const user = object(fields, 'user');
  const username = text(user, 'username');
  const actor = optional(object, fields, 'actor');
  const last = optional(object, fields, 'last_cell');
  return {
    id: text(fields, 'id'),
    username,
    displayName: optional(text, user, 'display_name') ?? username,
    agent: actor === null ? null : text(actor, 'name'),
    kernelId: optional(text, fields, 'kernel_id'),
    path: optional(text, fields, 'path'),
    since: instant(fields, 'authenticated_at'),
    lastSeen: instant(fields, 'last_seen_at'),
    expiresAt: optional(instant, fields, 'expires_at'),
    state: text(fields, 'state'),
    lastCell:
      last === null ? null : { id: optional(text, last, 'cell_id'), start: instant(last, 'start') }
  };
}

/** The sessions whose login is not over, by user, the latest request first. */
export function decodeRows(value: unknown): ISessionRow[] {
  const over = ['expired', 'signed_out', 'revoked'];
  return list({ answer: value }, 'answer')
    .map(decodeRow)
    .filter(({ state }) => !over.includes(state))
    .sort(
      (one, other) =>
        one.displayName.localeCompare(other.displayName) ||
        one.username.localeCompare(other.username) ||
        other.lastSeen.localeCompare(one.lastSeen)
    );
}
