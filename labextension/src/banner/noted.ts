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

/** A callback that `require_user` has refused, without an Output widget that shows it. */
export interface IRefusal {
  readonly text: string;
  /** Another one after each refusal: what the user has hidden comes back then. */
  readonly count: number;
}

export interface INote {
  readonly kind: 'consent' | 'made_up' | 'refused';
  readonly key: string;
  /** The name of the note, for screen readers. */
  readonly label: string;
  readonly text: string;
  /** The text of the link, and its address. */
  readonly link: { readonly text: string; readonly href: string } | null;
  readonly canHide: boolean;
}

/** The notes to show: a made-up user first, then a refusal, then each service that waits. */
export function notesOf(
  consents: readonly IConsent[],
  madeUp: IMadeUp | null,
  texts: Texts,
  refusal: IRefusal | null = null
): readonly INote[] {
  const waiting = refusal === null ? [] : [noteOf(refusal)];
  waiting.push(...consents.map((consent): INote => {
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
  }));
  if (madeUp === null) {
    return waiting;
  }
  const { user, by } = madeUp;
  const text = fill(texts.made_up ?? '', { user, by });
  return [{ kind: 'made_up', key: text, label: user, text, link: null, canHide: false }, ...waiting];
}

function noteOf({ text, count }: IRefusal): INote {
  return { kind: 'refused', key: `${count} ${text}`, label: text, text, link: null, canHide: true };
}

/** The sentence of a kernel's message, if it is the error of a refused callback; else null. */
export function refusalOf(message: unknown): string | null {
  const { header, content } = (message ?? {}) as {
    readonly header?: { readonly msg_type?: unknown };
    readonly content?: { readonly ename?: unknown; readonly traceback?: unknown };
  };
  if (header?.msg_type !== 'error' || content?.ename !== 'AccessDenied') {
    return null;
  }
  // In Voila's kernels, the error of `require_user` has its sentence for a traceback.
  const lines: unknown = content.traceback;
  const [text] = Array.isArray(lines) && lines.length === 1 ? (lines as unknown[]) : [];
  return typeof text === 'string' ? text : null;
}

/** The kernel's word about a made-up user; null if it is none. */
export function madeUpOf(value: unknown): IMadeUp | null {
  const { user, by } = (value ?? {}) as Partial<Readonly<Record<string, unknown>>>;
  return typeof user === 'string' && typeof by === 'string' ? { user, by } : null;
}

export function fill(text: string, values: Readonly<Record<string, unknown>>): string {
  return text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all));
}
