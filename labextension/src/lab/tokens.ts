/** The model's interface and token, for other extensions too. No behaviour. */
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { IConsent, IKernelSession, ISessionInfo, LoginState } from '../shared/types.js';

/** A user is logged in after a login had ended, or been replaced. */
export interface IReturn {
  readonly before: ISessionInfo;
  readonly session: ISessionInfo;
  /** Whether this page had noticed that the former login was over. */
  readonly wasOver: boolean;
}

/** The signed-in person, kept up to date while the page is visible. */
export interface ISessionUserModel extends IDisposable {
  /** The session, or null if no user is known to be signed in. */
  readonly session: ISessionInfo | null;
  /** Emitted when `session` became a different value, never for an equal one. */
  readonly changed: ISignal<ISessionUserModel, ISessionInfo | null>;
  /** How it stands with the login. */
  readonly state: LoginState;
  /** Emitted when `state` became a different one, after `changed`. */
  readonly stateChanged: ISignal<ISessionUserModel, LoginState>;
  /** Emitted when a user is logged in again, after `stateChanged`. */
  readonly returned: ISignal<ISessionUserModel, IReturn>;
  /** The services that gave no access token until the user agrees. */
  readonly consents: readonly IConsent[];
  /** Emitted when `consents` became a different value. */
  readonly consentsChanged: ISignal<ISessionUserModel, readonly IConsent[]>;
  /** Milliseconds until the login ends, by the server's clock; null if unknown. */
  readonly left: number | null;
  /** Ask now. Settles in every case; a failure leaves everything as it is. */
  refresh(): Promise<void>;
  /** Find out how it stands, by a question that is asked after this call, or is just pending. */
  check(): Promise<LoginState>;
  /** The address of the page to log in, for a window or a link. */
  readonly loginUrl: string;
  /** Open the window to log in, within a click; false if the browser forbids it. */
  logIn(): boolean;
  /** The kernels that this person has used; rejects when the server does not say. */
  kernels(): Promise<readonly IKernelSession[]>;
  /** Revoke all logins of this person, this one too. */
  signOutEverywhere(): Promise<void>;
}

export const ISessionUserModel = new Token<ISessionUserModel>(
  'jupyter-session-user:ISessionUserModel',
  'Who is logged in, and whether that is over.'
);
