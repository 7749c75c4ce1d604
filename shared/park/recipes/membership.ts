/**
 * Who is there: each member has a place under its own name, for as long as it lives.
 *
 * M1: a name is one member's at a time. A second one waits until the first has gone, as one that was killed does after
 *     its session's time.
 * M2: a member that lost its session takes its place again by itself, with a new token, until it leaves.
 */
import { type Clock, systemClock } from '../../clock.ts';
import { PlatformError } from '../../errors.ts';
import { type Random, systemRandom } from '../../random.ts';
import type { Park, ParkEntry, ParkWatch } from '../park.ts';
import { BoundedWait, type WaitOptions } from './bounded-wait.ts';
import { makeClaim, removeSurely, retryPassing } from './claim-node.ts';
import { EMPTY_VIEW, viewAfter } from './domain-view.ts';
import { ParkHold } from './park-hold.ts';
import { contendersOf } from './place-in-queue.ts';
import type { RecipeOptions } from './queued-claim.ts';

/** Of one try to come back; then the next one begins. */
const REJOIN_MS = 60_000;
/** After a try that was refused at once, say for want of rights. */
const REFUSED_PAUSE_MS = 1_000;

export interface Member {
  readonly id: string;
  /** Greater than that of every earlier member of this name. */
  readonly token: number;
  readonly info: unknown;
}

/** Oldest member first. Pure. */
export function membersOf(entries: readonly ParkEntry[]): Member[] {
  return contendersOf(entries).map(({ node, createRevision, info }) => ({ id: node, token: createRevision, info }));
}

export class Membership {
  readonly #park: Park;
  readonly #domain: string;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(park: Park, domain: string, options: RecipeOptions = {}) {
    this.#park = park;
    this.#domain = domain;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  /** @param id a node's name @param info any JSON @throws PlatformError DEADLINE_EXCEEDED, CANCELLED, PARK_REQUEST_INVALID */
  async join(id: string, info: unknown, options: WaitOptions): Promise<Seat> {
    const seat = new Seat((waiting) => this.#take(id, info, waiting), this.#clock);
    await seat.join(options);
    return seat;
  }

  async members(): Promise<Member[]> {
    return membersOf(await this.#park.getDomain(this.#domain));
  }

  /** Calls `listener` with the members there are, and whenever that changes, until it returns false. */
  observe(listener: (members: readonly Member[]) => unknown): ParkWatch {
    let view = EMPTY_VIEW;
    return this.#park.watch(this.#domain, (change) => {
      view = viewAfter(view, change);
      return listener(membersOf([...view.values()]));
    });
  }

  /** M1 */
  async #take(id: string, info: unknown, options: WaitOptions): Promise<ParkHold> {
    const wait = new BoundedWait(`place ${this.#domain}/${id}`, options, this.#clock);
    const shared = { park: this.#park, clock: this.#clock, domain: this.#domain, node: id };
    const attempt = async (): Promise<ParkHold> => {
      const making = makeClaim({ ...shared, random: this.#random, mode: 'shared', permits: 1, info });
      try {
        const hold = new ParkHold({ ...shared, ...(await wait.until(making)), onEnd: () => {} });
        if (hold.isHeld) return hold;
        throw new PlatformError('PARK_SESSION_UNKNOWN', 'the session ended as the place was taken');
      } catch (thrown) {
        void making.then((made) => removeSurely({ ...shared, session: made.session })).catch(() => undefined);
        throw thrown;
      }
    };
    try {
      return await retryPassing(wait, attempt, 'PARK_NODE_EXISTS');
    } finally {
      wait.close();
    }
  }
}

/** One member's place. */
export class Seat {
  readonly #take: (options: WaitOptions) => Promise<ParkHold>;
  readonly #clock: Clock;
  readonly #leaving = new AbortController();
  #hold: ParkHold | undefined;

  /** @param take makes the place */
  constructor(take: (options: WaitOptions) => Promise<ParkHold>, clock: Clock) {
    this.#take = take;
    this.#clock = clock;
  }

  /** Undefined while it has lost its place and is about to take it again. */
  get token(): number | undefined {
    return this.#hold?.isHeld === true ? this.#hold.token : undefined;
  }

  async join(options: WaitOptions): Promise<void> {
    this.#keep(await this.#take(options));
  }

  /** The others see it at once. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#hold?.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  #keep(hold: ParkHold): void {
    this.#hold = hold;
    void hold.lost.then(() => this.#rejoin());
  }

  /** M2 */
  async #rejoin(): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      const hold = await this.#take({ timeoutMs: REJOIN_MS, signal }).catch(() => undefined);
      if (hold !== undefined && !signal.aborted) return this.#keep(hold);
      if (hold === undefined) await new Promise<void>((resolve) => void this.#clock.after(REFUSED_PAUSE_MS, resolve));
      else await hold.release();
    }
  }
}
