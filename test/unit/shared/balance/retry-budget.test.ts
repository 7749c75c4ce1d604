import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RetryBudget } from '../../../../shared/balance/retry-budget.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

/** Takes until the budget says no. @returns how many it gave */
function exhaust(budget: RetryBudget): number {
  let taken = 0;
  while (taken < 1_000_000 && budget.take()) taken++;
  return taken;
}

test('B2: a burst is allowed at once, and no more than that', () => {
  const budget = new RetryBudget(0.2);
  assert.equal(exhaust(budget), 1_000);
  assert.equal(budget.take(), false);
});

test('B1: past the burst, retries stay under their share of the requests, in whatever order they come', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.array(fc.nat(30), { maxLength: 50, size: 'max' }),
      (ratio, requestsBetween) => {
        const budget = new RetryBudget(ratio);
        exhaust(budget);
        let requests = 0;
        let retries = 0;
        for (const count of requestsBetween) {
          for (let index = 0; index < count; index++) budget.noteRequest();
          requests += count;
          retries += exhaust(budget);
          assert.ok(retries <= requests * ratio + 1e-6, `${retries} retries of ${requests} requests at ${ratio}`);
        }
      },
    ),
    fewerRuns(4),
  );
});

test('a quiet time saves up no more than one burst', () => {
  const budget = new RetryBudget(1);
  for (let count = 0; count < 10_000; count++) budget.noteRequest();
  assert.equal(exhaust(budget), 1_000);
});

test('a share of nothing means no retry at all, and takes effect live', () => {
  const budget = new RetryBudget(0.2);
  budget.ratio = 0;
  assert.equal(budget.take(), false);
  budget.ratio = 0.2;
  assert.equal(budget.take(), true);
});
