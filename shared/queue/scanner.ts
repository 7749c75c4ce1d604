/**
 * The loop that drains a request queue: wakes at the end of the tick in which something was queued or set free, hands
 * on up to BATCH_REQUESTS_MAX requests, and yields to the event loop before the next batch.
 *
 * S1: no timer and no polling: it sleeps until woken.
 * S2: `handOn` may refuse (nothing writable): the request is kept as the next one, and the scanner sleeps until woken.
 * S3: `handOn` may end the batch, when handing on means work: what arrives meanwhile, perhaps of a class that goes first,
 *     must not wait for all that were there before.
 */
import type { Queueable, RequestQueue } from './request-queue.ts';
import type { Tick } from './tick.ts';

/** Past this a batch gains nothing more, and replies of the same tick would wait. */
const BATCH_REQUESTS_MAX = 256;

/** `last`: done, and the rest comes after a turn of the event loop (S3). */
export type HandedOn = 'done' | 'last' | 'blocked';

export class Scanner<Item extends Queueable> {
  readonly #queue: RequestQueue<Item>;
  readonly #tick: Tick;
  readonly #handOn: (item: Item) => HandedOn;
  #stuck: Item | undefined;
  #awake = false;
  readonly #scanNow = (): void => this.#scan();

  /** @param handOn whoever takes an item over releases it at the queue when it is done with */
  constructor(queue: RequestQueue<Item>, tick: Tick, handOn: (item: Item) => HandedOn) {
    this.#queue = queue;
    this.#tick = tick;
    this.#handOn = handOn;
  }

  /** Something was queued, or what the scanner waited for may have come. */
  wake(): void {
    if (this.#awake || (this.#queue.waiting === 0 && this.#stuck === undefined)) return;
    this.#awake = true;
    this.#tick.scan(this.#scanNow);
  }

  #scan(): void {
    this.#awake = false;
    for (let count = 0; count < BATCH_REQUESTS_MAX; count++) {
      const item = this.#stuck ?? this.#queue.take();
      if (item === undefined) return; // S1
      this.#stuck = undefined;
      const handedOn = this.#handOn(item);
      if (handedOn === 'blocked') {
        this.#stuck = item; // S2
        return;
      }
      if (handedOn === 'last') break; // S3
    }
    this.wake();
  }
}
