/**
 * Ends what has run past its time, with one timer for everything that runs instead of one each.
 *
 * S1: the timer stands at the nearest expiry, or sooner; nothing that runs is ever without one.
 * S2: two sweeps are at least SWEEP_PAUSE_MS apart, so a storm of short deadlines costs one walk per pause.
 */
import type { Clock, TimerHandle } from '../shared/clock.ts';

export interface Expiring {
  /** On the clock's `nowMs()`. May change in `expire` only. */
  readonly expiresAtMs: number;
  /** @returns whether to keep it, until its new `expiresAtMs` */
  expire(nowMs: number): boolean;
}

/** How late an expiry may be noticed: far below any deadline (10 ms at least), far above a walk's cost. */
const SWEEP_PAUSE_MS = 4;

export class DeadlineSweep {
  readonly #clock: Clock;
  readonly #running = new Set<Expiring>();
  #timer: TimerHandle | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#running.size;
  }

  add(item: Expiring): void {
    this.#running.add(item);
    if (item.expiresAtMs < this.#timerAtMs) this.#arm(item.expiresAtMs); // S1
  }

  /** Its timer may stay: a sweep that finds nothing is cheap, and moves on to the next expiry. */
  delete(item: Expiring): void {
    this.#running.delete(item);
  }

  [Symbol.iterator](): Iterator<Expiring> {
    return this.#running.values();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#running.clear();
  }

  #arm(atMs: number): void {
    this.#timer?.cancel();
    const delayMs = Math.max(SWEEP_PAUSE_MS, atMs - this.#clock.nowMs()); // S2
    this.#timerAtMs = atMs;
    this.#timer = this.#clock.after(delayMs, () => this.#sweep());
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    // Until the walk is over an `add` from within it must not arm: the walk's own nearest decides.
    this.#timerAtMs = Number.NEGATIVE_INFINITY;
    for (const item of this.#running) {
      if (item.expiresAtMs <= nowMs && !item.expire(nowMs)) this.#running.delete(item);
    }
    let nearestAtMs = Number.POSITIVE_INFINITY;
    for (const item of this.#running) nearestAtMs = Math.min(nearestAtMs, item.expiresAtMs);
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (nearestAtMs !== Number.POSITIVE_INFINITY) this.#arm(nearestAtMs); // S1
  }
}
