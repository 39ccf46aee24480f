/** A run in words: the time on the badge, and all of it for the tooltip and screen readers. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRun, IRunner } from './decode.js';

/** The time of day; on another day, the date. */
export function timeOf(start: number, now: number): string {
  const [then, today] = [new Date(start), new Date(now)];
  return then.toDateString() === today.toDateString()
    ? // Of a fixed width: "10:42 AM" has no room beside a cell.
      then.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    : then.toLocaleDateString(undefined, { day: 'numeric', month: 'numeric' });
}

/** A length of time, short. */
export function durationOf(milliseconds: number, trans: TranslationBundle): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 59.95) {
    return trans.__('%1 s', seconds.toLocaleString(undefined, { maximumFractionDigits: 1 }));
  }
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours > 0
    ? trans.__('%1 h %2 min', hours, minutes)
    : trans.__('%1 min %2 s', minutes, whole % 60);
}

/** The username is what one person cannot have in common with another. */
export function personOf(
  { displayName, username }: Pick<IRunner, 'displayName' | 'username'>,
  trans: TranslationBundle
): string {
  return displayName === username ? username : trans.__('%1 (%2)', displayName, username);
}

function whoOf(who: IRunner | null, trans: TranslationBundle): string {
  if (who === null) {
    return trans.__('an unknown user');
  }
  const person = personOf(who, trans);
  return who.agent === null ? person : trans.__('agent “%1” for %2', who.agent, person);
}

/** All that is known; it contains the text of the badge. */
export function labelOf(run: IRun, now: number, trans: TranslationBundle): string {
  const { end, start, status, who } = run;
  const time = timeOf(start, now);
  const parts =
    status === null
      ? [trans.__('Sent by %1 at %2, has not ended', whoOf(who, trans), time)]
      : [trans.__('Run by %1 at %2', whoOf(who, trans), time)];
  if (end !== null) {
    parts.push(trans.__('took %1', durationOf(end - start, trans)));
  }
  if (status === 'error') {
    parts.push(trans.__('failed'));
  }
  if (run.isRecorded) {
    parts.push(trans.__('as the notebook’s file says, not verified'));
  } else if (who !== null && !who.verified) {
    parts.push(trans.__('name not verified'));
  }
  return parts.join(', ');
}
