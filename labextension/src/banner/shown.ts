/** From the state of a page to what its banner shows. Pure. */
import { isOver, isSoon, minutesOf } from '../shared/login.js';
import type { ISessionInfo } from '../shared/types.js';
import { fill } from './noted.js';
import type { IPlace } from './place.js';
import type { Texts } from './texts.js';

export type BannerState =
  | ISessionInfo['state']
  | 'unreachable'
  | 'kernel_ended'
  | 'stale'
  | 'user_changed';

/** What a check has found. */
export interface IFound {
  readonly state: BannerState;
  /** Milliseconds until the login ends. */
  readonly left?: number;
  /** Whether `left` is an estimate. */
  readonly isGuess?: boolean;
  /** The user that this page belongs to. */
  readonly name?: string;
}

export const WELL: IFound = Object.freeze({ state: 'active' });

/** What the page knows about its server. */
export interface IKnowledge {
  readonly place: IPlace;
  /** Whether there is a server that can be asked; else only the kernel knows. */
  readonly canAsk: boolean;
  /** Whether the server reports the state of the login. */
  readonly knowsLogin: boolean;
  /** Whether the page goes on with its kernel after a new login. */
  readonly canReconnect: boolean;
}

/** An action, by the name of its text. */
export type Offer = 'log_in' | 'log_in_tab' | 'reload' | 'retry' | 'hide';

export interface IShown {
  readonly state: BannerState;
  readonly text: string;
  readonly offers: readonly Offer[];
}

/** @param hidden - The state whose banner the user has hidden. */
export function shownOf(
  found: IFound,
  page: IKnowledge,
  texts: Texts,
  hidden: string = WELL.state
): IShown {
  const { state } = found;
  return state === WELL.state || state === hidden
    ? { state: WELL.state, text: '', offers: [] }
    : { state, text: textOf(found, needsReload(state, page), texts), offers: offersOf(state, page) };
}

/** Whether only a new page goes on. */
function needsReload(state: BannerState, { place, canReconnect }: IKnowledge): boolean {
  return place.isApp && !(canReconnect && isOver(state));
}

function textOf({ state, left, isGuess, name }: IFound, isLost: boolean, texts: Texts): string {
  if (state !== 'expiring') {
    const forApp = isLost ? texts[`${state}_app`] : undefined;
    return fill(forApp ?? texts[state] ?? state, { name });
  }
  if (left === undefined) {
    return texts.expiring_unknown ?? '';
  }
  const time = isSoon(left) ? texts.soon : fill(texts.minutes ?? '', { n: minutesOf(left) });
  return fill((isGuess ? texts.expiring_estimated : texts.expiring) ?? '', { time });
}

function offersOf(state: BannerState, page: IKnowledge): Offer[] {
  const { place, canAsk, knowsLogin } = page;
  if (state === 'unreachable') {
    return ['retry'];
  }
  if (state === 'expiring') {
    return canAsk && knowsLogin ? ['log_in', 'hide'] : ['hide'];
  }
  if (place.base === null || (state === 'kernel_ended' && !place.isApp)) {
    return [];
  }
  return needsReload(state, page) ? ['reload'] : ['log_in'];
}

/**
 * The state to show: the server's, or the kernel's if the server cannot be asked.
 *
 * If the server can be asked, the kernel's state may be about another user: the banner's creator.
 *
 * @param session - What the kernel reports of its login.
 * @param banner - What it or the code reports of the banner; on a page without a Jupyter server, of anything.
 */
export function withKernelsWord(
  { found, canAsk, knowsLogin }: Pick<IKnowledge, 'canAsk' | 'knowsLogin'> & { readonly found: IFound },
  { session, banner }: { readonly session: unknown; readonly banner: unknown }
): IFound {
  if (knowsLogin || found.state !== 'active') {
    return found;
  }
  const said = String(canAsk ? session : banner);
  const isOfLogin = isOver(said) || said === 'expiring';
  const isOfPage = said === 'unreachable' || said === 'kernel_ended';
  return isOfLogin || (isOfPage && !canAsk) ? { state: said } : found;
}
