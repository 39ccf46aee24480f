/** How it stands with a login, and when to look again. Pure. */
import type { ISessionInfo, OverState } from './types.js';

const MINUTE_MS = 60 * 1000;

/** A guess earns a warning only when it is this near. */
const GUESS_AHEAD_MS = 5 * MINUTE_MS;

/** So that a timer does not ring a moment too early. */
const SLACK_MS = 100;

/** The server ends a login within that time: it is asked again and again for so long. */
const GRACE_MS = 1000;

/** No timer is set for longer than that: later requests set it again. */
const FAR_MS = 24 * 60 * MINUTE_MS;

export function isOver(state: string): state is OverState {
  return state === 'expired' || state === 'signed_out' || state === 'revoked';
}

export function isEstimated(session: ISessionInfo): boolean {
  return session.expirySource === 'estimated';
}

/** Milliseconds from `now` to the end; null if unknown. */
export function leftOf(session: ISessionInfo, now: number): number | null {
  return session.expiresAt === null ? null : Date.parse(session.expiresAt) - now;
}

/**
 * How long before the end to warn.
 *
 * @param warnMs - The user's setting; null to warn when the server says that it is time.
 */
function aheadOf(session: ISessionInfo, warnMs: number | null): number {
  const ahead = warnMs ?? (session.state === 'expiring' ? Infinity : -Infinity);
  return isEstimated(session) ? Math.min(ahead, GUESS_AHEAD_MS) : ahead;
}

/** Time alone makes no login over: that is for the server to say. */
export function stateOf(
  session: ISessionInfo,
  now: number,
  warnMs: number | null
): ISessionInfo['state'] {
  if (isOver(session.state)) {
    return session.state;
  }
  const left = leftOf(session, now);
  // A guess that is long past was wrong.
  const isWrong = isEstimated(session) && left !== null && left < -GUESS_AHEAD_MS;
  return left !== null && !isWrong && left <= aheadOf(session, warnMs) ? 'expiring' : 'active';
}

/** Milliseconds until the clock alone changes something; null where it does not, or much later. */
export function nextLook(
  session: ISessionInfo,
  now: number,
  warnMs: number | null
): number | null {
  const left = leftOf(session, now);
  if (left === null || left <= -GRACE_MS) {
    return null;
  }
  const ahead = Math.max(aheadOf(session, warnMs), 0);
  const wait = Math.max(left > ahead ? left - ahead : left, 0) + SLACK_MS;
  return wait < FAR_MS ? wait : null;
}

export function minutesOf(left: number): number {
  return Math.max(1, Math.round(left / MINUTE_MS));
}

/** Whether less than a minute is left, rounded. */
export function isSoon(left: number): boolean {
  return left < MINUTE_MS / 2;
}

/**
 * Whether these are two people.
 *
 * Names that Jupyter makes up differ at each login of the same person, so they tell nothing.
 */
export function areTwoPeople(one: ISessionInfo, other: ISessionInfo): boolean {
  const isNamed = !one.user.isAnonymous && !other.user.isAnonymous;
  return isNamed && one.user.username !== other.user.username;
}
