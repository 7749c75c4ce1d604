/** What an HTTP request to the park says: its path, its conditions, its options. Pure. */
import type { AdminExchange } from '../../shared/admin-exchange.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { Access } from '../../shared/park/park-model.ts';
import { requireName } from './park-bounds.ts';

export type Target =
  | { readonly kind: 'domains' }
  | { readonly kind: 'domain'; readonly domain: string }
  | { readonly kind: 'node'; readonly domain: string; readonly node: string }
  | { readonly kind: 'transactions' }
  | { readonly kind: 'sessions' }
  | { readonly kind: 'session'; readonly id: string };

/** @param path that begins with /park @throws PlatformError ROUTE_UNKNOWN, PARK_REQUEST_INVALID */
export function targetOf(path: string): Target {
  const parts = path.split('/').slice(1).map(decoded);
  const [first, domain, node] = parts;
  if (first === 'park-transactions' && parts.length === 1) return { kind: 'transactions' };
  if (first === 'park-sessions' && parts.length === 1) return { kind: 'sessions' };
  if (first === 'park-sessions' && parts.length === 2 && domain !== undefined) return { kind: 'session', id: domain };
  if (first !== 'park' || parts.length > 3) throw unknownPath(path);
  if (domain === undefined || (domain === '' && parts.length === 2)) return { kind: 'domains' };
  requireName('domain', domain);
  if (node === undefined) return { kind: 'domain', domain };
  requireName('node', node);
  return { kind: 'node', domain, node };
}

/** A revision in an entity tag, e.g. `"17"`. @returns undefined when the header is not there */
export function revisionOf(header: string, name: string): number | undefined {
  if (header === '') return undefined;
  const digits = /^"(\d{1,15})"$/.exec(header.trim())?.[1];
  if (digits !== undefined) return Number(digits);
  throw invalid(`expected ${name}: "<revision>", as the ETag of an answer, got ${header.slice(0, 64)}`);
}

/** Milliseconds of `500`, `500ms` or `30s`; 0 when it is not there. */
export function durationOf(text: string | null, name: string, maxMs: number): number {
  if (text === null || text === '') return 0;
  const parts = /^(\d{1,10})(ms|s|m|h)?$/.exec(text);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[parts?.[2] ?? 'ms'] ?? 1;
  const ms = Number(parts?.[1]) * unit;
  if (parts !== null && ms <= maxMs) return ms;
  throw invalid(`expected ${name} of at most ${maxMs} ms, such as 500, 500ms or 30s, got ${text.slice(0, 32)}`);
}

export function accessOf(text: string | null): Access | undefined {
  if (text === null) return undefined;
  return text as Access; // the rules look at it
}

export function flagOf(exchange: AdminExchange, name: string): boolean {
  const text = exchange.query.get(name);
  if (text === null || text === 'false') return false;
  if (text === 'true' || text === '') return true;
  throw invalid(`expected ${name}=true or false, got ${text.slice(0, 32)}`);
}

export function numberOf(text: string | null, name: string, otherwise: number): number {
  if (text === null || text === '') return otherwise;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(`expected ${name} to be a whole number, got ${text.slice(0, 32)}`);
}

/** @returns the text, which is JSON @throws PlatformError PARK_REQUEST_INVALID */
export function requireJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    const hint = text === '' ? 'nothing' : `${text.slice(0, 32)}; a text stands in quotes: "like this"`;
    throw invalid(`expected a value in JSON, got ${hint}`);
  }
}

export function invalid(detail: string): PlatformError {
  return new PlatformError('PARK_REQUEST_INVALID', detail);
}

export function unknownPath(path: string): PlatformError {
  const known = '/park, /park/DOMAIN, /park/DOMAIN/NODE, /park-transactions, /park-sessions, /park-sessions/ID';
  return new PlatformError('ROUTE_UNKNOWN', `Nothing at ${path.slice(0, 200)}; there are ${known}.`);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(`expected percent-encoded UTF-8 in the path, got ${part.slice(0, 64)}`);
  }
}
