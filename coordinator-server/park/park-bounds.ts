/** What a transaction must look like, whatever the park holds: names, values, times and counts within their bounds. Pure. */
import { PlatformError } from '../../shared/errors.ts';
import {
  ACCESS_RIGHTS,
  type Access,
  NAME_PATTERN,
  PARK_LIMITS,
  type ParkTransaction,
} from '../../shared/park/park-model.ts';

/** @throws PlatformError PARK_REQUEST_INVALID, PARK_VALUE_TOO_LARGE */
export function requireShape({ checks = [], writes }: ParkTransaction): void {
  if (writes.length < 1 || writes.length > PARK_LIMITS.writesMax)
    throw invalid(`expected 1 to ${PARK_LIMITS.writesMax} writes in a transaction, got ${writes.length}`);
  if (checks.length > PARK_LIMITS.checksMax)
    throw invalid(`expected at most ${PARK_LIMITS.checksMax} checks in a transaction, got ${checks.length}`);
  if (writes.length < 2) return;
  const bytes = writes.reduce((sum, write) => sum + ('value' in write ? Buffer.byteLength(write.value) : 0), 0);
  if (bytes <= PARK_LIMITS.transactionBytesMax) return;
  const detail = `expected values of at most ${PARK_LIMITS.transactionBytesMax} bytes together in a transaction, got ${bytes}: split it`;
  throw new PlatformError('PARK_VALUE_TOO_LARGE', detail);
}

/** @throws PlatformError PARK_REQUEST_INVALID */
export function requireName(what: 'domain' | 'node', name: string): void {
  if (NAME_PATTERN.test(name)) return;
  const detail = `expected a ${what} of 1 to ${PARK_LIMITS.nameCharsMax} letters, digits and . _ - : that begins with a letter or digit, got ${shown(name)}`;
  throw invalid(detail);
}

/** @throws PlatformError PARK_VALUE_TOO_LARGE */
export function requireValue(value: string): void {
  // A UTF-16 unit is at most three bytes: most values need no counting.
  if (value.length * 3 <= PARK_LIMITS.valueBytesMax) return;
  const bytes = Buffer.byteLength(value);
  if (bytes <= PARK_LIMITS.valueBytesMax) return;
  const detail = `expected a value of at most ${PARK_LIMITS.valueBytesMax} bytes of JSON, got ${bytes}: keep what is large elsewhere, and its address here`;
  throw new PlatformError('PARK_VALUE_TOO_LARGE', detail);
}

/** @throws PlatformError PARK_REQUEST_INVALID */
export function requireAccess(access: Access): void {
  if (!ACCESS_RIGHTS.includes(access))
    throw invalid(`expected access ${ACCESS_RIGHTS.join(', ')}, got ${shown(access)}`);
}

/** @param ttlMs 0: none @throws PlatformError PARK_REQUEST_INVALID */
export function requireLifetime(ephemeral: boolean, ttlMs: number): void {
  if (ttlMs === 0) return;
  if (ephemeral) throw invalid('expected ephemeral or ttlMs, got both: an ephemeral node goes with its session');
  const { nodeTtlMsMin, nodeTtlMsMax } = PARK_LIMITS;
  if (!Number.isInteger(ttlMs) || ttlMs < nodeTtlMsMin || ttlMs > nodeTtlMsMax)
    throw invalid(`expected a ttlMs of ${nodeTtlMsMin} to ${nodeTtlMsMax}, got ${shown(ttlMs)}`);
}

export function invalid(detail: string): PlatformError {
  return new PlatformError('PARK_REQUEST_INVALID', detail);
}

/** What came, for a message: never more of it than this. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 64)}"` : String(value).slice(0, 64);
}
