/** Reads what the server says about agents. Pure. */
import { DecodeError, instant, list, object, optional, text } from '../../shared/decode.js';

/** The actions of Jupyter's authorizer, in the order in which they are shown. */
export const SCOPES = ['read', 'write', 'execute'] as const;
export type Scope = (typeof SCOPES)[number];

/** An agent that has a token; times are ISO 8601 instants. */
export interface IAgent {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: string;
  /** Null for an agent that has sent no request yet. */
  readonly usedAt: string | null;
}

/** The answer that has the token, and the only one. */
export interface IGrant {
  readonly agent: IAgent;
  readonly token: string;
}

const ID = /^[\w-]+$/;
const TOKEN = /^jsu_agent_[\w-]+$/;

type Fields = Readonly<Record<string, unknown>>;

function matching(fields: Fields, field: string, pattern: RegExp): string {
  const value = text(fields, field);
  if (!pattern.test(value)) {
    throw new DecodeError(field, String(pattern));
  }
  return value;
}

function scopesOf(fields: Fields): Scope[] {
  const given = list(fields, 'scopes');
  const known = SCOPES.filter(scope => given.includes(scope));
  if (known.length === 0 || known.length !== given.length) {
    throw new DecodeError('scopes', `some of ${SCOPES.join(', ')}`);
  }
  return known;
}

function decodeAgent(value: unknown): IAgent {
  const fields = object({ agent: value }, 'agent');
  return {
    id: matching(fields, 'id', ID),
    name: matching(fields, 'name', /\S/),
    scopes: scopesOf(fields),
    expiresAt: instant(fields, 'expires_at'),
    usedAt: optional(instant, fields, 'used_at')
  };
}

export function decodeAgents(value: unknown): IAgent[] {
  return list({ answer: value }, 'answer').map(decodeAgent);
}

export function decodeGrant(value: unknown): IGrant {
  const agent = decodeAgent(value);
  return { agent, token: matching(object({ value }, 'value'), 'token', TOKEN) };
}
