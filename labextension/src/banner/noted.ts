/** What a banner notes besides the state of the login. Pure. */
import type { IConsent } from '../shared/types.js';
import { shortService } from '../shared/service.js';
import type { Texts } from './texts.js';

/** A user that no server knows, as the kernel says. */
export interface IMadeUp {
  readonly user: string;
  /** What makes the user up. */
  readonly by: string;
}

export interface INote {
  readonly kind: 'consent' | 'made_up';
  readonly key: string;
  /** The name of the note, for screen readers. */
  readonly label: string;
  readonly text: string;
  /** The text of the link, and its address. */
  readonly link: { readonly text: string; readonly href: string } | null;
  readonly canHide: boolean;
}

/** The notes to show: a made-up user first, then each service that waits. */
export function notesOf(
  consents: readonly IConsent[],
  madeUp: IMadeUp | null,
  texts: Texts
): readonly INote[] {
  const waiting = consents.map((consent): INote => {
    const service = shortService(consent.service);
    const href = consent.link;
    // The server's own login page is a path.
    const label = texts[href?.startsWith('/') ? 'log_in' : 'agree'] ?? '';
    return {
      kind: 'consent',
      key: JSON.stringify(consent),
      label: service,
      text: fill(texts.consent ?? '', { service }),
      link: href === null ? null : { text: label, href },
      canHide: true
    };
  });
  if (madeUp === null) {
    return waiting;
  }
  const { user, by } = madeUp;
  const text = fill(texts.made_up ?? '', { user, by });
  return [{ kind: 'made_up', key: text, label: user, text, link: null, canHide: false }, ...waiting];
}

/** The kernel's word about a made-up user; null if it is none. */
export function madeUpOf(value: unknown): IMadeUp | null {
  const { user, by } = (value ?? {}) as Partial<Readonly<Record<string, unknown>>>;
  return typeof user === 'string' && typeof by === 'string' ? { user, by } : null;
}

export function fill(text: string, values: Readonly<Record<string, unknown>>): string {
  return text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all));
}
