/**
 * How long a request would wait in its class of the queue, learnt from those that have just waited: time waited ÷ places
 * they had ahead of them = time per place (Little's law).
 *
 * F1: only a class with all its concurrency out is forecast. What waits for another reason (a dispatcher that is not back
 *     yet) says nothing about the next one, and an idle server never refuses a burst.
 */
import type { QueueClass } from '../shared/queue/request-queue.ts';

/** Weight of the newest wait: about the last ten count, so the forecast is right soon after a load has changed. */
const NEWEST_WEIGHT = 0.2;

export class WaitForecast {
  readonly #msPerPlace: number[] = [];

  /** A request leaves the queue. */
  note(requestClass: number, waitedMs: number, placesAhead: number): void {
    const msPerPlace = waitedMs / (placesAhead + 1);
    const known = this.#msPerPlace[requestClass] ?? 0;
    this.#msPerPlace[requestClass] = known + (msPerPlace - known) * NEWEST_WEIGHT;
  }

  /** @returns ms that the next request would wait */
  waitMs(requestClass: number, { waiting, out, concurrency }: QueueClass): number {
    if (out < concurrency) return 0; // F1
    return (waiting.length + 1) * (this.#msPerPlace[requestClass] ?? 0);
  }
}
