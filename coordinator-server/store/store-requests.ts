/** What a store may be asked for, beside transactions: checked alike by all of them. */
import { PlatformError } from '../../shared/errors.ts';
import { PARK_LIMITS } from '../../shared/park/park-model.ts';

/** Visible ASCII: it stands in messages and listings. */
export const SESSION_NAME = /^[\x21-\x7e]{1,128}$/;

/** @throws PlatformError PARK_REQUEST_INVALID */
export function requireSession(name: string, ttlMs: number): void {
  if (!SESSION_NAME.test(name))
    throw invalid(`expected a session name of 1 to 128 visible ASCII characters, got "${name.slice(0, 64)}"`);
  const { sessionTtlMsMin, sessionTtlMsMax } = PARK_LIMITS;
  if (!Number.isInteger(ttlMs) || ttlMs < sessionTtlMsMin || ttlMs > sessionTtlMsMax)
    throw invalid(`expected a session's ttlMs of ${sessionTtlMsMin} to ${sessionTtlMsMax}, got ${ttlMs}`);
}

/** @throws PlatformError PARK_REQUEST_INVALID */
export function requireListLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= PARK_LIMITS.listNodesMax) return limit;
  throw invalid(`expected a limit of 1 to ${PARK_LIMITS.listNodesMax}, got ${limit}`);
}

function invalid(detail: string): PlatformError {
  return new PlatformError('PARK_REQUEST_INVALID', detail);
}
