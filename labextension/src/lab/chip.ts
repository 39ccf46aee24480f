/** When the chip is shown, and what a user may do from its menu. Pure. */
import { isOver } from '../shared/login.js';
import type { ISessionInfo, LoginState } from '../shared/types.js';

/** The setting `showChip`. */
export type ShowChip = 'auto' | 'always' | 'never';

/**
 * Whether the chip says something.
 *
 * A name that Jupyter made up tells a user nothing while there is no other user.
 */
export function isChipShown(
  show: ShowChip,
  session: ISessionInfo | null,
  state: LoginState
): boolean {
  if (show === 'never' || session === null) {
    return show !== 'never' && isOver(state);
  }
  return show === 'always' || !session.user.isAnonymous || session.hasOthers;
}

/** Whether this server authenticates its users, so that a login can be renewed, and be ended. */
export function hasLogin(session: ISessionInfo | null): boolean {
  return session?.verified ?? false;
}

/** Whether the user has an account: a made-up name is of one login, and of no person. */
export function hasNamedLogin(session: ISessionInfo | null): boolean {
  return session !== null && hasLogin(session) && !session.user.isAnonymous;
}
