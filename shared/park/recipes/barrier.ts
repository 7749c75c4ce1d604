/**
 * A barrier: whoever arrives goes on when so many have arrived. It opens once; the next round takes another domain.
 *
 * R1: who arrived and died before it opened does not count; once open it stays so, for OPEN_TTL_MS, whoever goes.
 */
import { type Clock, systemClock } from '../../clock.ts';
import { PlatformError, toPlatformError } from '../../errors.ts';
import { type Random, systemRandom } from '../../random.ts';
import type { Park, ParkEntry, ParkWatch } from '../park.ts';
import { BoundedWait, type WaitOptions } from './bounded-wait.ts';
import { makeClaim, removeSurely, retryPassing } from './claim-node.ts';
import { type DomainView, EMPTY_VIEW, viewAfter } from './domain-view.ts';
import { contendersOf, requireAgreement } from './place-in-queue.ts';
import type { RecipeOptions } from './queued-claim.ts';

export const PARTIES_MAX = 1_000;
/** For those that come late; after it, the domain is as new. */
export const OPEN_TTL_MS = 86_400_000;
const OPEN_NODE = 'open';

export type BarrierState =
  /** `token`: the same for all of the round. */
  | { readonly kind: 'open'; readonly token: number }
  /** All are there: whoever sees it opens it. */
  | { readonly kind: 'complete' }
  | { readonly kind: 'waiting'; readonly missing: number };

/** R1. Pure. */
export function barrierState(entries: readonly ParkEntry[], parties: number): BarrierState {
  const open = entries.find(({ node }) => node === OPEN_NODE);
  if (open !== undefined) return { kind: 'open', token: open.createRevision };
  const missing = parties - contendersOf(entries).length;
  return missing <= 0 ? { kind: 'complete' } : { kind: 'waiting', missing };
}

export class Barrier {
  readonly #park: Park;
  readonly #domain: string;
  readonly #parties: number;
  readonly #clock: Clock;
  readonly #random: Random;
  #isWaiting = false;

  /** @param parties 1..PARTIES_MAX, the same for all @throws PlatformError PARK_REQUEST_INVALID */
  constructor(park: Park, domain: string, parties: number, options: RecipeOptions = {}) {
    if (!Number.isSafeInteger(parties) || parties < 1 || parties > PARTIES_MAX)
      throw new PlatformError('PARK_REQUEST_INVALID', `expected 1 to ${PARTIES_MAX} parties, got ${parties}`);
    this.#park = park;
    this.#domain = domain;
    this.#parties = parties;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  /** @returns a token, the same for all who pass @throws PlatformError DEADLINE_EXCEEDED, CANCELLED, PARK_REQUEST_INVALID */
  async arrive(options: WaitOptions): Promise<number> {
    const what = `barrier ${this.#domain}`;
    if (this.#isWaiting)
      throw new PlatformError(
        'PARK_REQUEST_INVALID',
        `expected to arrive at ${what} once at a time: make another object for another party`,
      );
    const wait = new BoundedWait(what, options, this.#clock);
    this.#isWaiting = true;
    try {
      return await retryPassing(wait, () => this.#attempt(wait, what));
    } finally {
      this.#isWaiting = false;
      wait.close();
    }
  }

  async #attempt(wait: BoundedWait, what: string): Promise<number> {
    const shared = { park: this.#park, clock: this.#clock, domain: this.#domain };
    const wanted = { mode: 'shared', permits: this.#parties, info: null } as const;
    const making = makeClaim({ ...shared, ...wanted, random: this.#random });
    try {
      const { node } = await wait.until(making);
      return await this.#untilOpen(wait, node, what);
    } finally {
      const remove = async (): Promise<void> => {
        const { session, node } = await making;
        await removeSurely({ ...shared, session, node });
      };
      remove().catch(() => undefined); // it was not made
    }
  }

  async #untilOpen(wait: BoundedWait, node: string, what: string): Promise<number> {
    let view = EMPTY_VIEW;
    let watch: ParkWatch | undefined;
    const open = new Promise<number>((resolve, reject) => {
      const party: Party = { node, what, resolve, reject, isOpening: false };
      watch = this.#park.watch(this.#domain, (change) => {
        view = viewAfter(view, change);
        return this.#look(view, party);
      });
    });
    try {
      return await wait.until(open);
    } finally {
      watch?.close();
    }
  }

  /** @returns whether to look again */
  #look(view: DomainView, party: Party): boolean {
    const entries = [...view.values()];
    const state = barrierState(entries, this.#parties);
    if (state.kind === 'open') {
      party.resolve(state.token);
      return false;
    }
    const contenders = contendersOf(entries);
    try {
      if (!contenders.some(({ node }) => node === party.node))
        throw new PlatformError('PARK_SESSION_UNKNOWN', 'the session ended before the barrier opened');
      requireAgreement(contenders, party.node, party.what);
    } catch (thrown) {
      party.reject(toPlatformError(thrown));
      return false;
    }
    if (state.kind === 'complete' && !party.isOpening) this.#open(party);
    return true;
  }

  #open(party: Party): void {
    party.isOpening = true; // a listener may be called again before the call below returns
    const opening = this.#park.create(this.#domain, OPEN_NODE, null, { ttlMs: OPEN_TTL_MS, access: 'read' });
    opening.catch((thrown: unknown) => {
      const error = toPlatformError(thrown);
      if (error.code !== 'PARK_NODE_EXISTS') party.reject(error); // else somebody else was first, and the watch says so
    });
  }
}

interface Party {
  readonly node: string;
  readonly what: string;
  readonly resolve: (token: number) => void;
  readonly reject: (error: PlatformError) => void;
  isOpening: boolean;
}
