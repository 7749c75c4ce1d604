/**
 * Ids that the platform mints.
 *
 * A request id is 16 bytes: 8 of the interface server's incarnation (random, new at each start) and an 8-byte counter.
 * So it is unique without coordination and costs no randomness per request. Its text form is 32 hex digits.
 */
import type { Random } from './random.ts';

export const REQUEST_ID_BYTES = 16;

/** 16 hex digits, new for every start of a server. */
export function makeIncarnation(random: Random): string {
  return random.bytes(8).toString('hex');
}

/** Text of a request id from its two halves. @param incarnation 16 hex digits @param counter 0..2^53-1 */
export function requestIdText(incarnation: string, counter: number): string {
  return incarnation + counter.toString(16).padStart(16, '0');
}
