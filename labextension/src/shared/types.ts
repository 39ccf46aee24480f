/** Data about the user and the login: types only. */

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

/** How a login ended. `signed_out`: the user signed out. `revoked`: the login was taken away. */
export type OverState = 'expired' | 'signed_out' | 'revoked';

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
  /** The source of the end: "estimated" is a guess, "" is unknown, all others are exact. */
  readonly expirySource: string;
  /** The state that the server reports. */
  readonly state: 'active' | 'expiring' | OverState;
  /** Whether the authority that decides could not be asked. */
  readonly degraded: boolean;
  /** Whether other users are known to this server. */
  readonly hasOthers: boolean;
  /** Whether this person may see and revoke the sessions of all users. */
  readonly manages: boolean;
}

/** A service that gave no access token until the user agrees, or logs in again. */
export interface IConsent {
  readonly service: string;
  /** Where: an http or https URL, or the path of a login page; null if that is unknown. */
  readonly link: string | null;
}

/** What a page knows about its login. */
export interface ILogin {
  /** The session, or null if no user is known to be signed in. */
  readonly session: ISessionInfo | null;
  readonly state: LoginState;
  /** The last valid login, also after its end: a new login is compared with it. */
  readonly known: ISessionInfo | null;
  /** The services that wait for the user; null if the server gives no access tokens. */
  readonly consents: readonly IConsent[] | null;
}

/** The part of a connection to a kernel or a terminal that matters here. */
export interface IConnection {
  readonly isDisposed: boolean;
  reconnect(): Promise<void>;
}

/** A kernel that the person at this page has used. */
export interface IKernelSession {
  readonly kernelId: string;
  readonly username: string;
  /** The user that started the kernel, if it is another user. */
  readonly foreignOwner: string | null;
}

/**
 * The server's answer about the current user.
 *
 * - `present`: it knows.
 * - `absent`: it has no such address, our server extension is not enabled there.
 * - `refused`: this browser may not ask.
 * - `over`: this browser is logged in no more.
 * - `unreachable`: there was no answer.
 */
export type WhoAmI =
  | {
      readonly kind: 'present';
      readonly session: ISessionInfo;
      /** The server's clock, in milliseconds; null where it does not say. */
      readonly serverTime: number | null;
      /** Milliseconds until time alone may change the state; null where it never does. */
      readonly changesIn: number | null;
      /** The services that wait for the user; null if the server gives no access tokens. */
      readonly consents: readonly IConsent[] | null;
    }
  | { readonly kind: 'over'; readonly state: OverState }
  | { readonly kind: 'absent' | 'refused' | 'unreachable' };
