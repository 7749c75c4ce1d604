/** Which domains are answered before they are durable, and which one a change is of. Pure. */
import { PLATFORM_DOMAIN_PREFIX } from '../../shared/park/park-model.ts';
import type { StoredChange } from '../park/park-state.ts';

/** Sessions count as the platform's. */
export function domainOf(change: StoredChange): string {
  if (change.kind === 'session' || change.kind === 'session-ended') return PLATFORM_DOMAIN_PREFIX;
  return change.kind === 'put' || change.kind === 'domain' ? change.record.domain : change.domain;
}

/** @param patterns names, or beginnings of names and `*`; the platform's own domains are never among them */
export function asyncMatcher(patterns: readonly string[]): (domain: string) => boolean {
  if (patterns.length === 0) return () => false;
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
  const beginnings = patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
  return (domain) =>
    !domain.startsWith(PLATFORM_DOMAIN_PREFIX) &&
    (names.has(domain) || beginnings.some((beginning) => domain.startsWith(beginning)));
}
