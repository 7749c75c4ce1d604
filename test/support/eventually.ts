/** Waits for a condition instead of for a time. */
import assert from 'node:assert/strict';
import { systemClock } from '../../shared/clock.ts';

const LOOK_EVERY_MS = 5;

/** Resolves with the first value of `look` that is neither undefined, null nor false. @throws AssertionError naming `what` after `timeoutMs` */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  timeoutMs = 5_000,
  lookEveryMs = LOOK_EVERY_MS,
): Promise<NonNullable<T>> {
  const untilMs = systemClock.nowMs() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== null && value !== false) return value;
    if (systemClock.nowMs() > untilMs) assert.fail(`waited ${timeoutMs} ms in vain for: ${what}`);
    await systemClock.sleep(lookEveryMs);
  }
}
