/** The user in words: labels, tooltip, the rows of the dialog. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { isEstimated } from '../shared/login.js';
import type { IKernelSession, ISessionInfo, LoginState } from '../shared/types.js';

/** A term and its value, as in a definition list. */
export type Row = readonly [term: string, description: string];

/** Names that Jupyter makes up are random digits. */
const MADE_UP = /^[0-9a-f]{32}$/;

function identityOf(session: ISessionInfo, trans: TranslationBundle): string {
  if (session.user.isAnonymous) {
    return trans.__('This login has no name, so Jupyter made one up');
  }
  return session.verified
    ? trans.__('Verified by the server')
    : trans.__('Not verified by the server');
}

function trouble(state: LoginState, trans: TranslationBundle): string[] {
  const reachable = state === 'expiring' ? [trans.__('Your login ends soon')] : [];
  return state === 'unreachable' ? [trans.__('The server cannot be reached')] : reachable;
}

/** The accessible name of the chip; it contains the chip's text. */
export function labelOf(
  session: ISessionInfo,
  trans: TranslationBundle,
  state: LoginState = 'active'
): string {
  const who = trans.__('Logged in as %1', session.user.displayName);
  return [who, ...trouble(state, trans)].join('. ');
}

export function tooltipOf(
  session: ISessionInfo,
  trans: TranslationBundle,
  state: LoginState = 'active'
): string {
  const { username, isAnonymous } = session.user;
  return [
    labelOf(session, trans, state),
    ...(isAnonymous ? [] : [trans.__('Username: %1', username)]),
    identityOf(session, trans)
  ].join('\n');
}

function localTime(instant: string): string {
  return new Date(instant).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

function endOf(session: ISessionInfo, trans: TranslationBundle): string {
  if (session.expiresAt === null) {
    return trans.__('Unknown');
  }
  const time = localTime(session.expiresAt);
  return isEstimated(session) ? trans.__('About %1', time) : time;
}

export function rowsOf(session: ISessionInfo, trans: TranslationBundle): Row[] {
  const { user } = session;
  const rows: Row[] = [[trans.__('Name'), user.displayName]];
  if (!user.isAnonymous) {
    const groups = user.groups.length > 0 ? user.groups.join(', ') : trans.__('None');
    rows.push([trans.__('Username'), user.username], [trans.__('Groups'), groups]);
  }
  rows.push(
    [trans.__('Logged in since'), localTime(session.authenticatedAt)],
    [trans.__('Login ends'), endOf(session, trans)]
  );
  if (user.admin) {
    rows.push([trans.__('Role'), trans.__('Administrator')]);
  }
  rows.push([trans.__('Identity'), identityOf(session, trans)]);
  if (session.degraded) {
    const note = trans.__('Your login could not be checked just now. It goes on until it can be.');
    rows.push([trans.__('Note'), note]);
  }
  return rows;
}

/** One line for each kernel; `nameOf` knows the notebook, or nothing. */
export function kernelLines(
  kernels: readonly IKernelSession[],
  nameOf: (kernelId: string) => string | undefined,
  trans: TranslationBundle
): string[] {
  const lines = kernels.map(({ kernelId, foreignOwner }) => {
    const name = nameOf(kernelId) ?? kernelId.slice(0, 8);
    if (foreignOwner !== null && MADE_UP.test(foreignOwner)) {
      return trans.__('%1 (started by another user)', name);
    }
    return foreignOwner === null ? name : trans.__('%1 (started by %2)', name, foreignOwner);
  });
  return lines.length > 0 ? lines : [trans.__('None')];
}
