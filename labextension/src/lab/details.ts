/** The signed-in user in words: labels, tooltip, the rows of the dialog. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { isEstimated } from '../shared/login.js';
import type { IKernelSession, ISessionInfo, LoginState } from '../shared/types.js';

/** A term and its value, as in a definition list. */
export type Row = readonly [term: string, description: string];

function verification(session: ISessionInfo, trans: TranslationBundle): string {
  return session.verified
    ? trans.__('Verified by the server')
    : trans.__('Not verified by the server');
}

function anonymity(session: ISessionInfo, trans: TranslationBundle): string[] {
  return session.user.isAnonymous
    ? [trans.__('Anonymous: the login has no name, so Jupyter made one up')]
    : [];
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
  const who = trans.__('Signed in as %1', session.user.displayName);
  return [who, ...trouble(state, trans)].join('. ');
}

export function tooltipOf(
  session: ISessionInfo,
  trans: TranslationBundle,
  state: LoginState = 'active'
): string {
  return [
    labelOf(session, trans, state),
    trans.__('Username: %1', session.user.username),
    verification(session, trans),
    ...anonymity(session, trans)
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
  const groups = user.groups.length > 0 ? user.groups.join(', ') : trans.__('None');
  const rows: Row[] = [
    [trans.__('Name'), user.displayName],
    [trans.__('Username'), user.username],
    [trans.__('Groups'), groups],
    [trans.__('Signed in since'), localTime(session.authenticatedAt)],
    [trans.__('Login ends'), endOf(session, trans)]
  ];
  if (user.admin) {
    rows.push([trans.__('Role'), trans.__('Administrator')]);
  }
  const identity = [verification(session, trans), ...anonymity(session, trans)];
  rows.push([trans.__('Identity'), identity.join('. ')]);
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
    return foreignOwner === null ? name : trans.__('%1 (started by %2)', name, foreignOwner);
  });
  return lines.length > 0 ? lines : [trans.__('None')];
}
