/** Waiting for a server to finish what it has in flight. */
import type { Clock } from './clock.ts';

const LOOK_EVERY_MS = 10;

/** Resolves once `inFlight()` is 0, or after `timeoutMs`. */
export async function drained(clock: Clock, inFlight: () => number, timeoutMs: number): Promise<void> {
  const giveUpAtMs = clock.nowMs() + timeoutMs;
  while (inFlight() > 0 && clock.nowMs() < giveUpAtMs) await clock.sleep(LOOK_EVERY_MS);
}
