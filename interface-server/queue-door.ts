/**
 * The door of an interface server's request queue. Too much is refused here, while it costs little: so what is handed on
 * has time left to be served, and the tiers behind do no work in vain, however much is offered.
 *
 * D1: a request that would wait longer than its class allows, or its client will, is refused at once.
 * D2: one that has waited as long as its class allows is refused then, whatever was forecast. Not when it waits for a
 *     dispatcher to be back: whether that takes too long is for the scanner to say.
 */
import { PlatformError } from '../shared/errors.ts';
import type { RequestQueue } from '../shared/queue/request-queue.ts';
import type { Exchange } from './exchange.ts';
import { WaitForecast } from './wait-forecast.ts';

export class QueueDoor {
  readonly #queue: RequestQueue<Exchange>;
  readonly #forecast = new WaitForecast();

  constructor(queue: RequestQueue<Exchange>) {
    this.#queue = queue;
  }

  /** Puts a request into the queue. @returns why not; undefined when it is in */
  enter(exchange: Exchange, nowMs: number): PlatformError | undefined {
    const place = this.#queue.classOf(exchange);
    exchange.queuedAtMs = nowMs;
    exchange.placesAhead = place.waiting.length;
    exchange.deadlineAtMs = Math.min(exchange.answerByMs, nowMs + place.waitMsMax);
    if (nowMs + this.waitMs(exchange) <= exchange.deadlineAtMs)
      return this.#queue.push(exchange) ? undefined : QUEUE_FULL;
    place.refused++;
    return WAIT_TOO_LONG; // D1
  }

  /** One that was out already, and is to be sent again: it is not judged anew. @returns false when the queue is full */
  enterAgain(exchange: Exchange, nowMs: number): boolean {
    exchange.queuedAtMs = nowMs;
    exchange.placesAhead = this.#queue.classOf(exchange).waiting.length;
    return this.#queue.push(exchange);
  }

  /** It is handed on. @returns how long it has waited, ms */
  leave(exchange: Exchange, nowMs: number): number {
    const waitedMs = nowMs - exchange.queuedAtMs;
    this.#forecast.note(exchange.requestClass, waitedMs, exchange.placesAhead);
    exchange.deadlineAtMs = exchange.answerByMs;
    return waitedMs;
  }

  /** D2: its class's time is up. @returns why it leaves; undefined when it stays */
  outstay(exchange: Exchange, dispatcherWorks: boolean): PlatformError | undefined {
    exchange.deadlineAtMs = exchange.answerByMs;
    if (!dispatcherWorks) return undefined;
    this.#queue.classOf(exchange).refused++;
    return WAITED_TOO_LONG;
  }

  /** How long the next request of that class would wait. */
  waitMs(exchange: Exchange): number {
    return this.#forecast.waitMs(exchange.requestClass, this.#queue.classOf(exchange));
  }
}

const QUEUE_FULL = new PlatformError(
  'QUEUE_FULL',
  'the request queue of this interface server is full; try again after Retry-After',
);
const WAIT_TOO_LONG = new PlatformError(
  'QUEUE_FULL',
  'too many requests wait at this interface server for one more to be served in time; try again after Retry-After',
);
const WAITED_TOO_LONG = new PlatformError(
  'QUEUE_FULL',
  'the request waited at this interface server as long as its class may (queues.<class>.waitMsMax); try again after Retry-After',
);
