import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DueQueue } from '../../../../coordinator-server/park/due-queue.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

test('what is due by a time comes, the earliest first, each once, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 0, max: 50 }), (times, nowMs) => {
      const queue = new DueQueue();
      for (const dueAtMs of times) queue.add({ dueAtMs });
      const taken: number[] = [];
      for (let item = queue.takeDue(nowMs); item !== undefined; item = queue.takeDue(nowMs)) taken.push(item.dueAtMs);
      assert.deepEqual(
        taken,
        times.filter((time) => time <= nowMs).toSorted((a, b) => a - b),
      );
      assert.equal(queue.size, times.length - taken.length);
    }),
    fewerRuns(2),
  );
});
