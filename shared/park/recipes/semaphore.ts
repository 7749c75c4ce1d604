/** A semaphore: so many hold at once, first come first served. All must name the same number of permits. */
import { PlatformError } from '../../errors.ts';
import type { Park } from '../park.ts';
import type { WaitOptions } from './bounded-wait.ts';
import type { ParkHold } from './park-hold.ts';
import { QueuedClaim, type RecipeOptions } from './queued-claim.ts';

/** Everybody who waits looks at the whole domain, as any of those who hold may be the first to go. */
export const PERMITS_MAX = 1_000;

export class Semaphore {
  readonly #claim: QueuedClaim;
  readonly #permits: number;

  /** @param permits 2..PERMITS_MAX; for one there is ParkLock, which fences @throws PlatformError PARK_REQUEST_INVALID */
  constructor(park: Park, domain: string, permits: number, options: RecipeOptions = {}) {
    if (!Number.isSafeInteger(permits) || permits < 2 || permits > PERMITS_MAX)
      throw new PlatformError(
        'PARK_REQUEST_INVALID',
        `expected a semaphore of 2 to ${PERMITS_MAX} permits, got ${permits}: for one, take a lock`,
      );
    this.#permits = permits;
    this.#claim = new QueuedClaim({ park, domain, kind: 'semaphore', ...options });
  }

  /** Its token grows from holder to holder, but several hold at once: it is no fence of what they share. */
  acquire(options: WaitOptions): Promise<ParkHold> {
    return this.#claim.acquire({ mode: 'exclusive', permits: this.#permits }, options);
  }
}
