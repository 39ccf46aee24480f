/** The texts of the notifications. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { shortService } from '../../shared/service.js';
import type { IConsent } from '../../shared/types.js';

export function consentNotice({ service }: IConsent, trans: TranslationBundle): string {
  return trans.__('The service “%1” needs your consent.', shortService(service));
}

/** On the button: the server's own login page is a path. */
export function consentLabel(link: string, trans: TranslationBundle): string {
  return link.startsWith('/') ? trans.__('Log in again') : trans.__('Give consent');
}
