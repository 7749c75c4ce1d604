/**
 * The node by which something is held: made, and surely gone again, also when answers are lost.
 *
 * N1: a claim whose making was not answered may be made later. So its making checks that there is no gate of its name, and
 *     whoever gives it up makes the gate first: from then on it cannot come any more, and what is there is deleted.
 * N2: a claim belongs to the session that made it; when that has ended, so has the claim, and nothing is left to do.
 */
import type { Clock } from '../../clock.ts';
import { type ErrorCode, PlatformError, toPlatformError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import type { Park, ParkSession } from '../park.ts';
import type { BoundedWait } from './bounded-wait.ts';
import { type ClaimMode, type ClaimValue, contendersOf } from './place-in-queue.ts';
import { onSessionLost } from './session-loss.ts';

/** Between two tries; a coordinator that is replaced is back within a second. */
export const RETRY_MS = 50;
/** Far longer than a write can be on its way. */
const GATE_TTL_MS = 600_000;

/** Nobody could be asked, or the answer was lost: another try may do. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'NO_COORDINATOR',
  'OUTCOME_UNKNOWN',
  'PARK_SESSION_UNKNOWN',
  'STORE_UNAVAILABLE',
  'STORE_BUSY',
  'QUEUE_FULL',
]);

export function isPassing(error: PlatformError): boolean {
  return PASSING.has(error.code);
}

/** Makes attempts until one does not fail in passing, or the wait ends. @throws PlatformError of the wait, or of an attempt */
export async function retryPassing<T>(
  wait: BoundedWait,
  attempt: () => Promise<T>,
  alsoPassing?: ErrorCode,
): Promise<T> {
  for (;;) {
    wait.check();
    try {
      return await attempt();
    } catch (thrown) {
      wait.check();
      const error = toPlatformError(thrown);
      if (!isPassing(error) && error.code !== alsoPassing) throw error;
      wait.trouble = error;
    }
    await wait.pause(RETRY_MS);
  }
}

export interface ClaimNode {
  readonly park: Park;
  readonly clock: Clock;
  readonly session: ParkSession;
  readonly domain: string;
  readonly node: string;
}

export interface MadeClaim {
  readonly session: ParkSession;
  readonly node: string;
  readonly token: number;
}

export interface ClaimRequest {
  readonly park: Park;
  readonly clock: Clock;
  readonly random: Random;
  readonly domain: string;
  /** Absent: generated. */
  readonly node?: string | undefined;
  readonly mode: ClaimMode;
  readonly permits: number;
  readonly info: unknown;
}

/** @throws PlatformError of the park; one that isPassing: nothing was made, or nothing stays */
export async function makeClaim(request: ClaimRequest): Promise<MadeClaim> {
  const { park, clock, random, domain, node: name, mode, permits, info } = request;
  const claim = random.bytes(12).toString('hex');
  const session = await park.session();
  const value: ClaimValue = { claim, mode, permits, info };
  const checks = [{ domain, node: gateOf(claim), version: 0 }]; // N1
  try {
    const named = name === undefined ? {} : { node: name };
    const write = { op: 'create', domain, ...named, value, ephemeral: true, access: 'read' } as const;
    const { revision, nodes } = await park.transact({ checks, writes: [write] });
    const node = nodes[0] ?? '';
    const now = await park.session();
    if (now === session) return { session, node, token: revision };
    void removeSurely({ park, clock, session: now, domain, node }); // made by one session or the next: nobody can say
    throw new PlatformError('PARK_SESSION_UNKNOWN', 'the session ended while a claim was made');
  } catch (thrown) {
    if (toPlatformError(thrown).code === 'OUTCOME_UNKNOWN') void shut({ park, clock, domain, claim });
    throw thrown;
  }
}

/** Resolves when the node is gone, or its session (N2). Never throws. */
export async function removeSurely({ park, clock, session, domain, node }: ClaimNode): Promise<void> {
  await untilDone({ clock, session }, async () => {
    try {
      await park.delete(domain, node);
    } catch (thrown) {
      if (isPassing(toPlatformError(thrown))) throw thrown; // else it is not there, or not ours any more
    }
  });
}

/** N1. By the session there is now: made by an earlier one, the claim has ended (N2). Never throws. */
async function shut(fields: Omit<ClaimNode, 'node' | 'session'> & { readonly claim: string }): Promise<void> {
  const { park, clock, domain, claim } = fields;
  const session = await park.session().catch(() => undefined);
  if (session === undefined) return;
  await untilDone({ clock, session }, async () => {
    await park.put(domain, gateOf(claim), null, { ttlMs: GATE_TTL_MS });
    const own = contendersOf(await park.getDomain(domain)).filter((one) => one.claim === claim);
    for (const { node } of own) await removeSurely({ park, clock, session, domain, node });
  });
}

/** Tries again until it does not throw, or the session is lost. */
async function untilDone(
  { clock, session }: { readonly clock: Clock; readonly session: ParkSession },
  attempt: () => Promise<void>,
): Promise<void> {
  let stop = (): void => {};
  const lost = new Promise<'lost'>((resolve) => {
    stop = onSessionLost(session, () => resolve('lost'));
  });
  const tried = async (): Promise<'done' | 'again'> => {
    try {
      await attempt();
      return 'done';
    } catch (thrown) {
      if (!isPassing(toPlatformError(thrown))) return 'done'; // it may not, and never will
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
      return 'again';
    }
  };
  while ((await Promise.race([lost, tried()])) === 'again');
  stop();
}

function gateOf(claim: string): string {
  return `gate.${claim}`;
}
