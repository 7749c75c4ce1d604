import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ClassView, weightedTurns } from '../../../../shared/queue/queue-policy.ts';
import '../../../support/property-runs.ts';

/** How often each class is chosen in `turns` turns. */
function turnsOf(classes: readonly ClassView[], turns: number): number[] {
  const policy = weightedTurns();
  const counts = classes.map(() => 0);
  for (let turn = 0; turn < turns; turn++) {
    const index = policy.next(classes);
    if (index !== -1) counts[index] = (counts[index] as number) + 1;
  }
  return counts;
}

const busy = (weight: number): ClassView => ({ weight, eligible: true });
const idle = (weight: number): ClassView => ({ weight, eligible: false });

test('busy classes share the turns by their weights, exactly', () => {
  assert.deepEqual(turnsOf([busy(16), busy(4), busy(1)], 210), [160, 40, 10]);
});

test('an idle class leaves its turns to the rest', () => {
  assert.deepEqual(turnsOf([idle(16), busy(4), busy(1)], 50), [0, 40, 10]);
});

test('nothing eligible, nothing chosen', () => {
  assert.equal(weightedTurns().next([idle(1), idle(2)]), -1);
  assert.equal(weightedTurns().next([]), -1);
});

test('no class that is eligible waits for longer than two rounds of all the others', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(weights, fc.array(fc.nat(), { maxLength: 100, size: 'max' }), (list, moments) => {
      const policy = weightedTurns();
      const patienceMax = 2 * list.reduce((sum, weight) => sum + weight, 0);
      const patience = list.map(() => 0);
      for (const moment of moments) {
        // The last class is always eligible; each other one by a bit of the moment.
        const classes = list.map((weight, index) => ({
          weight,
          eligible: index === list.length - 1 || ((moment >> index) & 1) === 1,
        }));
        const chosen = policy.next(classes);
        assert.ok(classes[chosen]?.eligible, 'chose a class that is not eligible');
        for (const index of patience.keys()) {
          patience[index] = index === chosen || !classes[index]?.eligible ? 0 : (patience[index] as number) + 1;
          assert.ok((patience[index] as number) <= patienceMax, `class ${index} starves`);
        }
      }
    }),
  );
});

test('a weight changed live counts from the next round on', () => {
  const policy = weightedTurns();
  for (let turn = 0; turn < 2; turn++) policy.next([busy(1), busy(1)]);
  const counts = [0, 0];
  for (let turn = 0; turn < 40; turn++) {
    const index = policy.next([busy(3), busy(1)]);
    counts[index] = (counts[index] as number) + 1;
  }
  assert.deepEqual(counts, [30, 10]);
});
