/** A clock that stands still until the test moves it; timers fire in the order of their instants. */
import type { Clock, TimerHandle } from '../../shared/clock.ts';

interface Timer {
  atMs: number;
  readonly order: number;
  readonly periodMs: number | undefined;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs = 1000) {
    this.#nowMs = startMs;
  }

  /** Timers that have not fired; to see that nothing leaves any behind. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    return this.#add(delayMs, undefined, callback);
  }

  every(periodMs: number, callback: () => void): TimerHandle {
    return this.#add(periodMs, periodMs, callback);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  atEndOfTick(callback: () => void): void {
    setImmediate(callback);
  }

  /** Moves time forward, firing every timer that falls due, in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      if (due.periodMs === undefined) this.#timers.delete(due);
      else due.atMs += due.periodMs;
      due.callback();
    }
    this.#nowMs = untilMs;
  }

  #add(delayMs: number, periodMs: number | undefined, callback: () => void): TimerHandle {
    this.#order += 1;
    const timer: Timer = { atMs: this.#nowMs + delayMs, order: this.#order, periodMs, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
}
