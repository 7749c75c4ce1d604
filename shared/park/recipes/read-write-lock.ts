/** A read-write lock: many read, or one writes. Who comes after a waiting writer waits behind it, readers too. */
import type { Park } from '../park.ts';
import type { WaitOptions } from './bounded-wait.ts';
import type { ParkHold } from './park-hold.ts';
import type { FencedHold } from './park-lock.ts';
import { QueuedClaim, type RecipeOptions } from './queued-claim.ts';

export class ReadWriteLock {
  readonly #claim: QueuedClaim;
  readonly #domain: string;

  constructor(park: Park, domain: string, options: RecipeOptions = {}) {
    this.#domain = domain;
    this.#claim = new QueuedClaim({ park, domain, kind: 'read-write lock', ...options });
  }

  /**
   * No fence: a reader's token is above that of every writer before it and below that of every writer after it, but those
   * who read at once would shut each other out.
   */
  acquireRead(options: WaitOptions): Promise<ParkHold> {
    return this.#claim.acquire({ mode: 'shared', permits: 1 }, options);
  }

  async acquireWrite(options: WaitOptions): Promise<FencedHold> {
    const hold = await this.#claim.acquire({ mode: 'exclusive', permits: 1 }, options);
    return { hold, fence: { name: this.#domain, token: hold.token } };
  }
}
