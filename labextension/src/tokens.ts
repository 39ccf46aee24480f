/**
 * What the front end knows about the person who is signed in: types and the token, no behaviour.
 *
 * This file imports no other file of ours.
 */
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

/** A person, as the server describes them. */
export interface IUser {
  readonly username: string;
  readonly name: string;
  readonly displayName: string;
  /** Two letters at most, never empty. */
  readonly initials: string;
  /** An address that is safe to load as an image, or null. */
  readonly avatarUrl: string | null;
  readonly color: string | null;
  readonly groups: readonly string[];
  readonly admin: boolean;
  /** True where Jupyter made the name up, for example after a token login. */
  readonly isAnonymous: boolean;
}

/**
 * A login of a person.
 *
 * The server's `last_seen_at` is left out on purpose: our own polling moves it, so that no two
 * answers would ever be equal.
 */
export interface ISessionInfo {
  readonly id: string;
  readonly user: IUser;
  readonly source: string;
  /** Whether the server authenticated this person. */
  readonly verified: boolean;
  /** ISO 8601 instants. */
  readonly authenticatedAt: string;
  readonly expiresAt: string | null;
}

/**
 * The server's answer to "who am I?".
 *
 * - `present`: it knows.
 * - `absent`: it has no such address, our server extension is not enabled there.
 * - `refused`: this browser is not signed in, or may not ask.
 */
export type WhoAmI =
  | { readonly kind: 'present'; readonly session: ISessionInfo }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused' };

/** Asks the server who is signed in; rejects when the server could not decide. */
export interface ISessionUserClient {
  whoAmI(): Promise<WhoAmI>;
}

/** The signed-in person, kept up to date while the page is visible. */
export interface ISessionUserModel extends IDisposable {
  /** The session, or null where nobody is known to be signed in. */
  readonly session: ISessionInfo | null;
  /** Emitted when `session` became a different value, never for an equal one. */
  readonly changed: ISignal<ISessionUserModel, ISessionInfo | null>;
  /** Ask now. Settles in every case; a failure leaves `session` as it is. */
  refresh(): Promise<void>;
}

export const ISessionUserModel = new Token<ISessionUserModel>(
  'jupyter-session-user:ISessionUserModel',
  'Who is signed in to this Jupyter Server, and since when.'
);
