/** How it stands with a login, and when to look again. Pure. */
import type { ISessionInfo, LoginState, OverState } from './tokens.js';

const MINUTE_MS = 60 * 1000;

/** A guess earns a warning only when it is this near. */
const GUESS_AHEAD_MS = 5 * MINUTE_MS;

/** So that a timer does not ring a moment too early. */
const SLACK_MS = 100;

/** Longer than that nobody waits: questions in between come back to it. */
const FAR_MS = 24 * 60 * MINUTE_MS;

export function isOver(state: LoginState): state is OverState {
  return state === 'expired' || state === 'ended' || state === 'revoked';
}

export function isEstimated(session: ISessionInfo): boolean {
  return session.expirySource === 'estimated';
}

/** Milliseconds from `now` to the end; null where nobody knows it. */
export function leftOf(session: ISessionInfo, now: number): number | null {
  return session.expiresAt === null ? null : Date.parse(session.expiresAt) - now;
}

function aheadOf(session: ISessionInfo, warnMs: number): number {
  return isEstimated(session) ? Math.min(warnMs, GUESS_AHEAD_MS) : warnMs;
}

/** Time alone makes no login over: that is for the server to say. */
export function stateOf(session: ISessionInfo, now: number, warnMs: number): LoginState {
  if (isOver(session.state)) {
    return session.state;
  }
  const left = leftOf(session, now);
  return left !== null && left <= aheadOf(session, warnMs) ? 'expiring' : 'active';
}

/** Milliseconds until the clock alone changes something; null where it does not, or much later. */
export function nextLook(session: ISessionInfo, now: number, warnMs: number): number | null {
  const left = leftOf(session, now);
  if (left === null || left <= 0) {
    return null;
  }
  const ahead = aheadOf(session, warnMs);
  const wait = (left > ahead ? left - ahead : left) + SLACK_MS;
  return wait < FAR_MS ? wait : null;
}

export function minutesOf(left: number): number {
  return Math.max(1, Math.round(left / MINUTE_MS));
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
