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

/** How a login came to its end. `ended`: its owner signed out. `revoked`: somebody took it away. */
export type OverState = 'expired' | 'ended' | 'revoked';

/**
 * How it stands with the login of this page.
 *
 * - `unknown`: the server has not answered yet, or does not tell.
 * - `expiring`: good, but it is time to warn.
 * - `unreachable`: the server does not answer; the login may be good.
 */
export type LoginState = 'unknown' | 'active' | 'expiring' | 'unreachable' | OverState;

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
  /** Who says when it ends: "estimated" is a guess, "" nobody, everything else is exact. */
  readonly expirySource: string;
  /** What the server says of it. */
  readonly state: 'active' | 'expiring' | OverState;
  /** Whether the authority that decides could not be asked. */
  readonly degraded: boolean;
}

/** A kernel that the person at this page has used. */
export interface IKernelSession {
  readonly kernelId: string;
  readonly username: string;
  /** Who started the kernel, where that was somebody else. */
  readonly foreignOwner: string | null;
}

/** Somebody is signed in after a login had ended, or been replaced. */
export interface IReturn {
  readonly before: ISessionInfo;
  readonly session: ISessionInfo;
  /** Whether this page had noticed that the former login was over. */
  readonly wasOver: boolean;
}

/**
 * The server's answer to "who am I?".
 *
 * - `present`: it knows.
 * - `absent`: it has no such address, our server extension is not enabled there.
 * - `refused`: this browser may not ask.
 * - `over`: this browser is signed in no more.
 * - `unreachable`: there was no answer.
 */
export type WhoAmI =
  | {
      readonly kind: 'present';
      readonly session: ISessionInfo;
      /** The server's clock, in milliseconds; null where it does not say. */
      readonly serverTime: number | null;
    }
  | { readonly kind: 'over'; readonly state: OverState }
  | { readonly kind: 'absent' | 'refused' | 'unreachable' };

/** Asks the server. */
export interface ISessionUserClient {
  /**
   * Who is signed in; rejects when the server could not decide.
   *
   * @param known - The id of the last session, of whose end the server is asked.
   */
  whoAmI(known?: string): Promise<WhoAmI>;
  /** The sessions on kernels that this person may see. */
  kernels(): Promise<readonly IKernelSession[]>;
  /** Revoke all logins of this person; rejects with what the server says against it. */
  signOutEverywhere(): Promise<void>;
}

/** The signed-in person, kept up to date while the page is visible. */
export interface ISessionUserModel extends IDisposable {
  /** The session, or null where nobody is known to be signed in. */
  readonly session: ISessionInfo | null;
  /** Emitted when `session` became a different value, never for an equal one. */
  readonly changed: ISignal<ISessionUserModel, ISessionInfo | null>;
  /** How it stands with the login. */
  readonly state: LoginState;
  /** Emitted when `state` became a different one, after `changed`. */
  readonly stateChanged: ISignal<ISessionUserModel, LoginState>;
  /** Emitted when somebody is signed in again, after `stateChanged`. */
  readonly returned: ISignal<ISessionUserModel, IReturn>;
  /** Milliseconds until the login ends, by the server's clock; null where nobody knows. */
  readonly left: number | null;
  /** Ask now. Settles in every case; a failure leaves everything as it is. */
  refresh(): Promise<void>;
  /** Find out how it stands, by a question that is asked after this call, or is just pending. */
  check(): Promise<LoginState>;
  /** The kernels that this person has used; rejects when the server does not say. */
  kernels(): Promise<readonly IKernelSession[]>;
  /** Revoke all logins of this person, this one too. */
  signOutEverywhere(): Promise<void>;
}

export const ISessionUserModel = new Token<ISessionUserModel>(
  'jupyter-session-user:ISessionUserModel',
  'Who is signed in, and whether that is over.'
);
