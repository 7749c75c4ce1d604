/**
 * Who of those that wait in a domain holds, and whom one waits for. Pure.
 *
 * Q1: the order is that of creation, by revision and not by name: a domain that was emptied begins its names anew, its
 *     revisions go on. So whoever holds later has the greater revision, which is what makes it a fencing token.
 * Q2: an exclusive one holds alone; shared ones hold together as long as no exclusive one stands before them, so that
 *     readers who keep coming cannot keep a writer waiting for ever.
 * Q3: of exclusive ones, as many hold at once as there are permits.
 */
import { PlatformError } from '../../errors.ts';
import type { ParkEntry } from '../park.ts';

export type ClaimMode = 'exclusive' | 'shared';

export interface Contender {
  readonly node: string;
  readonly createRevision: number;
  readonly mode: ClaimMode;
  /** Of how many permits it believes that there are. */
  readonly permits: number;
  /** Made by whoever made the node: it finds its own again when the answer was lost. */
  readonly claim: string;
  /** What it wants others to know. */
  readonly info: unknown;
}

export type Place =
  | { readonly kind: 'holds' }
  /** `behind` undefined: behind more than one of which any may go first. */
  | { readonly kind: 'waits'; readonly behind: string | undefined }
  /** Its node is not there. */
  | { readonly kind: 'gone' };

/** What a claim's node holds. */
export interface ClaimValue {
  readonly claim: string;
  readonly mode: ClaimMode;
  readonly permits: number;
  readonly info: unknown;
}

/** @returns those that wait or hold, first come first; what else lies in the domain is left out */
export function contendersOf(entries: readonly ParkEntry[]): Contender[] {
  return entries.flatMap(contenderOf).sort((a, b) => a.createRevision - b.createRevision); // Q1
}

export function placeOf(contenders: readonly Contender[], node: string): Place {
  const at = contenders.findIndex((one) => one.node === node);
  const own = contenders[at];
  if (own === undefined) return { kind: 'gone' };
  if (own.permits > 1) return at < own.permits ? { kind: 'holds' } : { kind: 'waits', behind: undefined }; // Q3
  const before = contenders.slice(0, at);
  const blocker = own.mode === 'shared' ? before.findLast(({ mode }) => mode === 'exclusive') : before.at(-1); // Q2
  return blocker === undefined ? { kind: 'holds' } : { kind: 'waits', behind: blocker.node };
}

/**
 * Two that count by different numbers would both believe to hold: whoever came first decides.
 * @throws PlatformError PARK_REQUEST_INVALID
 */
export function requireAgreement(contenders: readonly Contender[], node: string, what: string): void {
  const at = contenders.findIndex((one) => one.node === node);
  const own = contenders[at];
  const other = contenders.slice(0, Math.max(0, at)).find(({ permits }) => permits !== own?.permits);
  if (own === undefined || other === undefined) return;
  const detail = `expected everybody to give ${what} the same number, got ${own.permits} here and ${other.permits} in ${other.node}: use one number, or two domains`;
  throw new PlatformError('PARK_REQUEST_INVALID', detail);
}

function contenderOf({ node, createRevision, ephemeral, value }: ParkEntry): Contender[] {
  const { claim, mode, permits, info } = (value ?? {}) as Partial<ClaimValue>;
  const fits =
    ephemeral &&
    typeof claim === 'string' &&
    (mode === 'exclusive' || mode === 'shared') &&
    Number.isSafeInteger(permits);
  return fits ? [{ node, createRevision, mode, permits: permits as number, claim, info }] : [];
}
