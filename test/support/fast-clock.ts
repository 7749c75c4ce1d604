/** The system's clock running faster, so that limits of seconds pass in a moment over real sockets. */
import { type Clock, systemClock } from '../../shared/clock.ts';

export function fastClock(times: number): Clock {
  return {
    nowMs: () => systemClock.nowMs() * times,
    wallMs: () => systemClock.wallMs(),
    after: (delayMs, callback) => systemClock.after(delayMs / times, callback),
    every: (periodMs, callback) => systemClock.every(periodMs / times, callback),
    sleep: (delayMs) => systemClock.sleep(delayMs / times),
    atEndOfTick: (callback) => systemClock.atEndOfTick(callback),
  };
}
