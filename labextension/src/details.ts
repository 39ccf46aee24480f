/** The answer to "who am I?" in words: labels, tooltip, the rows of the dialog. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ISessionInfo } from './tokens.js';

/** A term and what it is, as in a definition list. */
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

/** The accessible name of the chip; it contains what the chip shows. */
export function labelOf(session: ISessionInfo, trans: TranslationBundle): string {
  return trans.__('Signed in as %1', session.user.displayName);
}

export function tooltipOf(session: ISessionInfo, trans: TranslationBundle): string {
  return [
    labelOf(session, trans),
    trans.__('Username: %1', session.user.username),
    verification(session, trans),
    ...anonymity(session, trans)
  ].join('\n');
}

function localTime(instant: string): string {
  return new Date(instant).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

export function rowsOf(session: ISessionInfo, trans: TranslationBundle): Row[] {
  const { user } = session;
  const groups = user.groups.length > 0 ? user.groups.join(', ') : trans.__('None');
  const rows: Row[] = [
    [trans.__('Name'), user.displayName],
    [trans.__('Username'), user.username],
    [trans.__('Groups'), groups],
    [trans.__('Signed in since'), localTime(session.authenticatedAt)]
  ];
  if (session.expiresAt !== null) {
    rows.push([trans.__('Login ends'), localTime(session.expiresAt)]);
  }
  if (user.admin) {
    rows.push([trans.__('Role'), trans.__('Administrator')]);
  }
  const identity = [verification(session, trans), ...anonymity(session, trans)];
  rows.push([trans.__('Identity'), identity.join('. ')]);
  return rows;
}
