/** A lock: one holds, first come first served. Any number of processes, each with an object of its own. */
import type { Park } from '../park.ts';
import type { WaitOptions } from './bounded-wait.ts';
import type { ParkFence, ParkHold } from './park-hold.ts';
import { QueuedClaim, type RecipeOptions } from './queued-claim.ts';

/** A hold of which there is one at a time: what it writes can be fenced. */
export interface FencedHold {
  readonly hold: ParkHold;
  /** For `ctx.db.write(run, { fence })`: whoever held before is refused from the first such write on. */
  readonly fence: ParkFence;
}

export class ParkLock {
  readonly #claim: QueuedClaim;
  readonly #domain: string;

  /** @param domain of its own, e.g. `locks.nightly`; not one of journal.asyncDomains */
  constructor(park: Park, domain: string, options: RecipeOptions = {}) {
    this.#domain = domain;
    this.#claim = new QueuedClaim({ park, domain, kind: 'lock', ...options });
  }

  /** @throws PlatformError DEADLINE_EXCEEDED, CANCELLED; PARK_REQUEST_INVALID when this object waits or holds already */
  async acquire(options: WaitOptions): Promise<FencedHold> {
    const hold = await this.#claim.acquire({ mode: 'exclusive', permits: 1 }, options);
    return { hold, fence: { name: this.#domain, token: hold.token } };
  }
}
