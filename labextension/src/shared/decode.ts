/**
 * From the server's JSON to our types. Pure.
 *
 * Nothing of the answer is believed before it was looked at; fields that we do not know are
 * ignored, so that a newer server can say more.
 */
import { initialsOf } from './initials.js';
import type { IConsent, IKernelSession, ISessionInfo, IUser, OverState } from './types.js';

/** The answer has not the expected shape; the message names the field, never its value. */
export class DecodeError extends Error {
  constructor(field: string, expected: string) {
    super(`${field}: expected ${expected}`);
    this.name = 'DecodeError';
  }
}

type Fields = Readonly<Record<string, unknown>>;
type Read<T> = (fields: Fields, field: string) => T;

/** A function that reads a field of one type, or throws. */
function reader<T>(expected: string, isRight: (value: unknown) => value is T): Read<T> {
  return (fields, field) => {
    const value = fields[field];
    if (!isRight(value)) {
      throw new DecodeError(field, expected);
    }
    return value;
  };
}

const isText = (value: unknown): value is string => typeof value === 'string';
export const text = reader('a string', isText);
export const flag = reader('true or false', (value): value is boolean => typeof value === 'boolean');
export const number = reader('a number', (value): value is number => typeof value === 'number');
export const list = reader('a list', (value): value is unknown[] => Array.isArray(value));
const texts = reader(
  'a list of strings',
  (value): value is string[] => Array.isArray(value) && value.every(isText)
);
export const instant = reader(
  'an ISO 8601 time',
  (value): value is string => isText(value) && !Number.isNaN(Date.parse(value))
);
export const object = reader(
  'an object',
  (value): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
);

function choice<T extends string>(choices: readonly T[]): Read<T> {
  return reader(choices.join(', '), (value): value is T => choices.includes(value as T));
}

const OVER: readonly OverState[] = ['expired', 'signed_out', 'revoked'];
const overState = choice(OVER);
const loginState = choice<ISessionInfo['state']>(['active', 'expiring', ...OVER]);

/** A missing field reads as null: the server leaves out unknown values. */
export function optional<T>(read: Read<T>, fields: Fields, field: string): T | null {
  return fields[field] === undefined || fields[field] === null ? null : read(fields, field);
}

/**
 * The address if it may be loaded as an image: https, or from the page's own origin.
 *
 * Read by the same parser that the browser uses, since a hand-written test of the prefix would
 * miss "java\nscript:". The avatar is decoration, so a bad address is dropped, not an error.
 */
export function safeAvatarUrl(address: string | null): string | null {
  const isOwn = (url: URL, origin: string): boolean => url.origin === origin;
  const isSecure = (url: URL): boolean => url.protocol === 'https:';
  return is(address, isOwn) || is(address, isSecure) ? address : null;
}

/** The address if a link may have it: no script, nothing but the web. */
export function safeLink(address: string | null): string | null {
  return is(address, ({ protocol }) => ['http:', 'https:'].includes(protocol)) ? address : null;
}

/** Whether an address is what a test says, on a page of either scheme: it is not known here. */
function is(address: string | null, test: (url: URL, origin: string) => boolean): boolean {
  if (address === null || address.trim() === '') {
    return false;
  }
  try {
    // "//host/" takes the page's scheme over, and "http:path" is relative on one of the two.
    return ['http://relative.invalid', 'https://relative.invalid'].every(origin =>
      test(new URL(address, origin), origin)
    );
  } catch {
    return false;
  }
}

export function decodeUser(value: unknown): IUser {
  const fields = object({ user: value }, 'user');
  const username = text(fields, 'username');
  const name = optional(text, fields, 'name') || username;
  const displayName = optional(text, fields, 'display_name') || name;
  const initials = optional(text, fields, 'initials') ?? '';
  return Object.freeze({
    username,
    name,
    displayName,
    initials: initialsOf(initials, displayName, username),
    avatarUrl: safeAvatarUrl(optional(text, fields, 'avatar_url')),
    color: optional(text, fields, 'color'),
    groups: Object.freeze([...texts(fields, 'groups')]),
    admin: flag(fields, 'admin'),
    isAnonymous: flag(fields, 'is_anonymous')
  });
}

export function decodeSession(value: unknown): ISessionInfo {
  const fields = object({ answer: value }, 'answer');
  return Object.freeze({
    id: text(fields, 'id'),
    user: decodeUser(fields.user),
    source: text(fields, 'source'),
    verified: flag(fields, 'verified'),
    authenticatedAt: instant(fields, 'authenticated_at'),
    expiresAt: optional(instant, fields, 'expires_at'),
    expirySource: optional(text, fields, 'expiry_source') ?? '',
    state: optional(loginState, fields, 'state') ?? 'active',
    degraded: optional(flag, fields, 'degraded') ?? false,
    hasOthers: optional(flag, fields, 'has_others') ?? false,
    manages: optional(flag, fields, 'manages') ?? false
  });
}

/** The server's clock in an answer, in milliseconds; null where an older server says nothing. */
export function decodeServerTime(value: unknown): number | null {
  const fields = object({ answer: value }, 'answer');
  const time = optional(instant, fields, 'server_time');
  return time === null ? null : Date.parse(time);
}

/** Milliseconds until time alone may change the state; null if it never does. */
export function decodeChangesIn(value: unknown): number | null {
  const seconds = optional(number, object({ answer: value }, 'answer'), 'changes_in');
  return seconds === null ? null : seconds * 1000;
}

/** The services that wait for the user; null if the server gives no access tokens. */
export function decodeConsents(value: unknown): readonly IConsent[] | null {
  const found = optional(list, object({ answer: value }, 'answer'), 'consents');
  return (
    found &&
    found
      .map(consent => object({ consent }, 'consent'))
      .map(fields => ({
        service: text(fields, 'service'),
        link: safeLink(optional(text, fields, 'login_url'))
      }))
  );
}

/** The sessions on kernels out of a list of sessions. */
export function decodeKernels(value: unknown): readonly IKernelSession[] {
  return list({ answer: value }, 'answer')
    .map(session => object({ session }, 'session'))
    .filter(fields => optional(text, fields, 'kernel_id') !== null)
    .map(fields => ({
      kernelId: text(fields, 'kernel_id'),
      username: text(object(fields, 'user'), 'username'),
      foreignOwner: fields.owns_kernel === false ? optional(text, fields, 'kernel_owner') : null
    }));
}

/** Whether a user is logged in, and how the login that was asked about ended; null if it did not. */
export function decodeLoginState(value: unknown): { isSignedIn: boolean; end: OverState | null } {
  const fields = object({ answer: value }, 'answer');
  const end = optional(overState, fields, 'state');
  return { isSignedIn: flag(fields, 'signed_in'), end };
}

/** The server's reason for refusing a request. */
export function decodeMessage(value: unknown): string {
  return text(object({ answer: value }, 'answer'), 'message');
}
