/**
 * Takes a place in a domain's queue and waits until it holds: what lock, read-write lock, semaphore and election share.
 *
 * C1: a waiter looks at the one node whose going can let it in, so that giving a lock back wakes one, not all.
 * C2: a waiter whose session is lost, or whose coordinator is away, queues anew until its time is up: it loses its place
 *     and nothing else.
 * C3: whoever gives up, for whatever reason, leaves no node behind.
 */
import { type Clock, systemClock } from '../../clock.ts';
import { PlatformError } from '../../errors.ts';
import { type Random, systemRandom } from '../../random.ts';
import type { Park } from '../park.ts';
import { BoundedWait, type WaitOptions } from './bounded-wait.ts';
import { type MadeClaim, makeClaim, removeSurely, retryPassing } from './claim-node.ts';
import { ParkHold } from './park-hold.ts';
import { type ClaimMode, type Contender, contendersOf, placeOf, requireAgreement } from './place-in-queue.ts';
import { onSessionLost } from './session-loss.ts';

export interface RecipeOptions {
  /** The one that the park's client counts its session by. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

export interface QueuedClaimFields extends RecipeOptions {
  readonly park: Park;
  readonly domain: string;
  /** For messages: `lock`, `election`. */
  readonly kind: string;
}

interface Wanted {
  readonly mode: ClaimMode;
  readonly permits: number;
  readonly info?: unknown;
}

export class QueuedClaim {
  readonly #park: Park;
  readonly #domain: string;
  readonly #what: string;
  readonly #clock: Clock;
  readonly #random: Random;
  #isWaiting = false;
  #isHeld = false;

  constructor({ park, domain, kind, clock = systemClock, random = systemRandom }: QueuedClaimFields) {
    this.#park = park;
    this.#domain = domain;
    this.#what = `${kind} ${domain}`;
    this.#clock = clock;
    this.#random = random;
  }

  /** @throws PlatformError PARK_REQUEST_INVALID when taken already, DEADLINE_EXCEEDED, CANCELLED, PARK_RIGHTS_MISSING, … */
  async acquire(wanted: Wanted, options: WaitOptions): Promise<ParkHold> {
    if (this.#isWaiting || this.#isHeld) throw reentered(this.#what);
    const wait = new BoundedWait(this.#what, options, this.#clock);
    this.#isWaiting = true;
    try {
      return await retryPassing(wait, () => this.#attempt(wanted, wait)); // C2
    } finally {
      this.#isWaiting = false;
      wait.close();
    }
  }

  async #attempt({ mode, permits, info = null }: Wanted, wait: BoundedWait): Promise<ParkHold> {
    const shared = { park: this.#park, clock: this.#clock, random: this.#random, domain: this.#domain };
    const making = makeClaim({ ...shared, mode, permits, info });
    try {
      return await this.#untilHeld(await wait.until(making), wait);
    } catch (thrown) {
      void making.then((made) => this.#remove(made)).catch(() => undefined); // C3
      throw thrown;
    }
  }

  async #untilHeld(made: MadeClaim, wait: BoundedWait): Promise<ParkHold> {
    let stop = (): void => {};
    const lost = new Promise<never>((_resolve, reject) => {
      const why = new PlatformError('PARK_SESSION_UNKNOWN', 'the session ended while its claim waited');
      stop = onSessionLost(made.session, () => reject(why));
    });
    lost.catch(() => undefined); // it may end when nobody waits for it any more
    try {
      for (;;) {
        const contenders = contendersOf(await wait.until(Promise.race([this.#park.getDomain(this.#domain), lost])));
        requireAgreement(contenders, made.node, this.#what);
        const place = placeOf(contenders, made.node);
        if (place.kind === 'gone') throw new PlatformError('PARK_SESSION_UNKNOWN', 'somebody removed a waiting claim');
        if (place.kind === 'holds') break;
        await this.#untilGone(place.behind, contenders, (gone) => wait.until(Promise.race([gone, lost])));
      }
      return this.#hold(made);
    } finally {
      stop();
    }
  }

  #hold({ session, node, token }: MadeClaim): ParkHold {
    const onEnd = (): void => {
      this.#isHeld = false;
    };
    this.#isHeld = true;
    const shared = { park: this.#park, clock: this.#clock, domain: this.#domain };
    const hold = new ParkHold({ ...shared, session, node, token, onEnd });
    if (hold.isHeld) return hold;
    throw new PlatformError('PARK_SESSION_UNKNOWN', 'the session ended as its turn came');
  }

  /** C1. @param node undefined: anybody of the contenders */
  async #untilGone(
    node: string | undefined,
    contenders: readonly Contender[],
    wait: (gone: Promise<void>) => Promise<void>,
  ): Promise<void> {
    let tell = (): void => {};
    const gone = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const watched = node === undefined ? contenders.map((one) => one.node) : [node];
    const watch = this.#park.watch(
      this.#domain,
      (change) => {
        if (change.kind === 'put') return true;
        if (change.kind === 'removed' ? !watched.includes(change.node) : everyIn(watched, change.entries)) return true;
        tell();
        return false;
      },
      node === undefined ? {} : { node },
    );
    try {
      await wait(gone);
    } finally {
      watch.close();
    }
  }

  #remove({ session, node }: MadeClaim): Promise<void> {
    return removeSurely({ park: this.#park, clock: this.#clock, session, domain: this.#domain, node });
  }
}

function everyIn(nodes: readonly string[], entries: readonly { readonly node: string }[]): boolean {
  return nodes.every((node) => entries.some((entry) => entry.node === node));
}

function reentered(what: string): PlatformError {
  const detail = `expected ${what} to be taken once by this object, it waits or holds already: give it back first, or make another object for another holder`;
  return new PlatformError('PARK_REQUEST_INVALID', detail);
}
