/** The texts about a login. Pure. JupyterLab cuts notifications off at 140 characters. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { isEstimated, minutesOf } from '../shared/login.js';
import type { ISessionInfo, OverState } from '../shared/types.js';
import { overTexts } from '../shared/words.js';
import type { IReturn } from './tokens.js';

/** JupyterLab shows no more of a notification; two names must fit. */
const MAX_NAME = 40;

function shortName(session: ISessionInfo): string {
  const name = Array.from(session.user.displayName);
  return name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 1).join('')}…` : name.join('');
}

/** On the chip. */
export function overLabel(state: OverState, trans: TranslationBundle): string {
  const labels: Readonly<Record<OverState, string>> = {
    expired: trans.__('Login expired'),
    signed_out: trans.__('Logged out'),
    revoked: trans.__('Login revoked')
  };
  return labels[state];
}

export function overNotice(state: OverState, trans: TranslationBundle): string {
  return overTexts(trans)[state];
}

export function warningNotice(
  session: ISessionInfo,
  left: number,
  trans: TranslationBundle
): string {
  const minutes = minutesOf(left);
  return isEstimated(session)
    ? trans._n('Your login may end in a minute.', 'Your login may end in %1 minutes.', minutes)
    : trans._n('Your login ends in a minute.', 'Your login ends in %1 minutes.', minutes);
}

export function healedNotice(session: ISessionInfo, trans: TranslationBundle): string {
  return session.user.isAnonymous
    ? trans.__('Logged in again')
    : trans.__('Logged in again as %1', shortName(session));
}

export function userChangedNotice({ before, session }: IReturn, trans: TranslationBundle): string {
  return trans.__(
    'You are %1. What is open here, and its kernels, belong to %2.',
    shortName(session),
    shortName(before)
  );
}
