/**
 * The only caller of timers and dates, so that time can be replaced in tests and simulation.
 *
 * Two times: `nowMs()` is monotonic (deadlines, leases, latencies; unharmed by a wall clock that jumps) and has its
 * own zero in every process; `wallMs()` is for people and for data.
 */

import { performance } from 'node:perf_hooks'; // the global of that name is a getter, which costs as much as the call

export interface TimerHandle {
  /** Stops it; no effect once it has fired. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds with a fraction; zero is arbitrary. */
  nowMs(): number;
  /** Milliseconds since 1970, UTC. */
  wallMs(): number;
  /** Calls back once, no sooner than `delayMs` from now. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Calls back every `periodMs` until cancelled. Does not keep the process alive. */
  every(periodMs: number, callback: () => void): TimerHandle;
  /** Resolves after `delayMs`. Keeps the process alive. */
  sleep(delayMs: number): Promise<void>;
  /** Calls back once at the end of this turn of the event loop, after everything that has arrived in it. */
  atEndOfTick(callback: () => void): void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
  sleep: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),
  atEndOfTick: (callback) => void setImmediate(callback),
};
