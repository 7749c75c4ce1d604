import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drained } from '../../../shared/drained.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('drained resolves once nothing is in flight', async () => {
  const clock = new ManualClock();
  let inFlight = 2;
  let done = false;
  const waiting = drained(clock, () => inFlight, 1_000).then(() => {
    done = true;
  });
  await advance(clock, 50);
  assert.equal(done, false);
  inFlight = 0;
  await advance(clock, 50);
  assert.equal(done, true);
  await waiting;
});

test('drained gives up after its time', async () => {
  const clock = new ManualClock();
  let done = false;
  const waiting = drained(clock, () => 1, 100).then(() => {
    done = true;
  });
  await advance(clock, 90);
  assert.equal(done, false);
  await advance(clock, 50);
  assert.equal(done, true);
  await waiting;
});

/** In small steps, with the promises in between settled. */
async function advance(clock: ManualClock, totalMs: number): Promise<void> {
  for (let elapsedMs = 0; elapsedMs < totalMs; elapsedMs += 10) {
    clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
