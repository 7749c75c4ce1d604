/**
 * Requests that an app server asked to hold (its map, view or bucket is changing): kept, and tried again when the map
 * changes, and every RETRY_EVERY_MS, because it may be the app server that had to catch up.
 *
 * J1: at most HOLD_REQUESTS_MAX of HOLD_BYTES_MAX are held; past it a request fails with what it was to be held for.
 * J2: a held request keeps its deadline; the pipeline's deadline list ends it.
 * J3: without a new map at most RESUMED_AT_ONCE_MAX are tried again at a time, the longest held first.
 */
import type { Clock, TimerHandle } from '../shared/clock.ts';
import { HOLD_BYTES_MAX, HOLD_REQUESTS_MAX } from '../shared/constants.ts';
import type { DispatchedRequest } from './dispatched-request.ts';

const RETRY_EVERY_MS = 50;

/** Asking an app server that still says no costs it as much as a request. */
const RESUMED_AT_ONCE_MAX = 256;

export class HoldGate {
  #held = new Set<DispatchedRequest>();
  #bytes = 0;
  readonly #resume: (request: DispatchedRequest) => void;
  readonly #timer: TimerHandle;

  constructor(clock: Clock, resume: (request: DispatchedRequest) => void) {
    this.#resume = resume;
    this.#timer = clock.every(RETRY_EVERY_MS, () => this.#resumeSome());
  }

  get length(): number {
    return this.#held.size;
  }

  /** @returns false when the gate is full (J1) */
  hold(request: DispatchedRequest): boolean {
    if (this.#held.size >= HOLD_REQUESTS_MAX || this.#bytes + request.queueBytes > HOLD_BYTES_MAX) return false;
    this.#held.add(request);
    this.#bytes += request.queueBytes;
    return true;
  }

  /** J2: it is done. */
  forget(request: DispatchedRequest): void {
    if (this.#held.delete(request)) this.#bytes -= request.queueBytes;
  }

  resumeAll(): void {
    if (this.#held.size === 0) return;
    const held = this.#held;
    this.#held = new Set();
    this.#bytes = 0;
    for (const request of held) this.#resume(request);
  }

  /** J3 */
  #resumeSome(): void {
    let resumed = 0;
    for (const request of [...this.#held]) {
      if (resumed++ >= RESUMED_AT_ONCE_MAX) return;
      this.forget(request);
      this.#resume(request);
    }
  }

  close(): void {
    this.#timer.cancel();
  }
}
