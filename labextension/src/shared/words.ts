/** The texts that JupyterLab and the banner share. Pure. */
import type { OverState } from './types.js';

/** Marks the texts for JupyterLab's translators, and translates them. */
export interface ITranslation {
  __(text: string): string;
}

export function overTexts(trans: ITranslation): Readonly<Record<OverState, string>> {
  return {
    expired: trans.__('Your login has expired. Log in again to go on: your work is kept.'),
    signed_out: trans.__('You are logged out. Log in again to go on: your work is kept.'),
    revoked: trans.__('Your login was revoked. Log in again to go on: your work is kept.')
  };
}
