/**
 * From the server's JSON to our types. Pure.
 *
 * Nothing of the answer is believed before it was looked at; fields that we do not know are
 * ignored, so that a newer server can say more.
 */
import { initialsOf } from './initials.js';
import type { IKernelSession, ISessionInfo, IUser, OverState } from './tokens.js';

/** The answer is not what the server promised; names the field, never its value. */
export class DecodeError extends Error {
  constructor(field: string, expected: string) {
    super(`${field}: expected ${expected}`);
    this.name = 'DecodeError';
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DecodeError(field, 'an object');
  }
  return value as Fields;
}

function text(fields: Fields, field: string): string {
  const value = fields[field];
  if (typeof value !== 'string') {
    throw new DecodeError(field, 'a string');
  }
  return value;
}

/** A missing field reads as null: the server leaves out what it does not know. */
function optionalText(fields: Fields, field: string): string | null {
  return fields[field] === undefined || fields[field] === null ? null : text(fields, field);
}

function flag(fields: Fields, field: string): boolean {
  const value = fields[field];
  if (typeof value !== 'boolean') {
    throw new DecodeError(field, 'true or false');
  }
  return value;
}

function texts(fields: Fields, field: string): readonly string[] {
  const value = fields[field];
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string')) {
    throw new DecodeError(field, 'a list of strings');
  }
  return Object.freeze([...value]);
}

function instant(fields: Fields, field: string): string {
  const value = text(fields, field);
  if (Number.isNaN(Date.parse(value))) {
    throw new DecodeError(field, 'an ISO 8601 time');
  }
  return value;
}

/** A missing field, as of an older server, reads as the first choice. */
function choice<T extends string>(fields: Fields, field: string, choices: readonly T[]): T {
  const value = optionalText(fields, field) ?? choices[0];
  const found = choices.find(one => one === value);
  if (found === undefined) {
    throw new DecodeError(field, choices.join(', '));
  }
  return found;
}

const OVER: readonly OverState[] = ['expired', 'ended', 'revoked'];

/**
 * The address if it may be loaded as an image: http, https, relative, or `data:image/…`.
 *
 * Read by the same parser that the browser uses, since a hand-written test of the prefix would
 * miss "java\nscript:". The avatar is decoration, so a bad address is dropped, not an error.
 */
export function safeAvatarUrl(address: string | null): string | null {
  if (address === null || address.trim() === '') {
    return null;
  }
  try {
    const url = new URL(address, 'https://relative.invalid/');
    const isImage = url.protocol === 'data:' && url.pathname.startsWith('image/');
    return isImage || ['http:', 'https:'].includes(url.protocol) ? address : null;
  } catch {
    return null;
  }
}

export function decodeUser(value: unknown): IUser {
  const fields = fieldsOf(value, 'user');
  const username = text(fields, 'username');
  const name = optionalText(fields, 'name') || username;
  const displayName = optionalText(fields, 'display_name') || name;
  const initials = optionalText(fields, 'initials') ?? '';
  return Object.freeze({
    username,
    name,
    displayName,
    initials: initialsOf(initials, displayName, username),
    avatarUrl: safeAvatarUrl(optionalText(fields, 'avatar_url')),
    color: optionalText(fields, 'color'),
    groups: texts(fields, 'groups'),
    admin: flag(fields, 'admin'),
    isAnonymous: flag(fields, 'is_anonymous')
  });
}

export function decodeSession(value: unknown): ISessionInfo {
  const fields = fieldsOf(value, 'answer');
  const expires = optionalText(fields, 'expires_at');
  return Object.freeze({
    id: text(fields, 'id'),
    user: decodeUser(fields.user),
    source: text(fields, 'source'),
    verified: flag(fields, 'verified'),
    authenticatedAt: instant(fields, 'authenticated_at'),
    expiresAt: expires === null ? null : instant(fields, 'expires_at'),
    expirySource: optionalText(fields, 'expiry_source') ?? '',
    state: choice(fields, 'state', ['active', 'expiring', ...OVER]),
    degraded: fields.degraded === undefined ? false : flag(fields, 'degraded')
  });
}

/** The server's clock in an answer, in milliseconds; null where an older server says nothing. */
export function decodeServerTime(value: unknown): number | null {
  const fields = fieldsOf(value, 'answer');
  const time = optionalText(fields, 'server_time');
  return time === null ? null : Date.parse(instant(fields, 'server_time'));
}

/** The sessions on kernels out of a list of sessions. */
export function decodeKernels(value: unknown): readonly IKernelSession[] {
  if (!Array.isArray(value)) {
    throw new DecodeError('answer', 'a list');
  }
  const sessions = value.map(item => fieldsOf(item, 'session'));
  return sessions
    .filter(fields => optionalText(fields, 'kernel_id') !== null)
    .map(fields => ({
      kernelId: text(fields, 'kernel_id'),
      username: text(fieldsOf(fields.user, 'user'), 'username'),
      foreignOwner: fields.owns_kernel === false ? optionalText(fields, 'kernel_owner') : null
    }));
}

/** How the last login came to its end; null where somebody is signed in. */
export function decodeEnd(value: unknown): OverState | null {
  const fields = fieldsOf(value, 'answer');
  return flag(fields, 'signed_in') ? null : choice(fields, 'state', OVER);
}

/** What the server says against a request. */
export function decodeMessage(value: unknown): string {
  return text(fieldsOf(value, 'answer'), 'message');
}
