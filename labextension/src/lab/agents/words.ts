/** Agents in words. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IAgent, Scope } from './decode.js';

export function timeOf(instant: string): string {
  return new Date(instant).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** One word for each scope. */
export function scopeName(scope: Scope, trans: TranslationBundle): string {
  const names: Readonly<Record<Scope, string>> = {
    read: trans.__('read'),
    write: trans.__('write'),
    execute: trans.__('execute')
  };
  return names[scope];
}

/** A scope, and what it allows. */
export function scopeLabel(scope: Scope, trans: TranslationBundle): string {
  const labels: Readonly<Record<Scope, string>> = {
    read: trans.__('Read: see files and kernels'),
    write: trans.__('Write: change files, start and stop kernels'),
    execute: trans.__('Execute: run code')
  };
  return labels[scope];
}

/** What is known of an agent, each fact on its own. */
export function factsOf(agent: IAgent, trans: TranslationBundle): string[] {
  const { expiresAt, scopes, usedAt } = agent;
  return [
    trans.__('Scopes: %1', scopes.map(scope => scopeName(scope, trans)).join(', ')),
    usedAt === null ? trans.__('Not used yet') : trans.__('Last used: %1', timeOf(usedAt)),
    trans.__('Expires: %1', timeOf(expiresAt))
  ];
}

/** What is wrong with the form; null if the server can decide. */
export function mistakeOf(
  name: string,
  scopes: readonly Scope[],
  trans: TranslationBundle
): string | null {
  if (name === '') {
    return trans.__('Give the agent a name.');
  }
  return scopes.length === 0 ? trans.__('Choose at least one scope.') : null;
}
