import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BoundedQueue } from '../../../../shared/queue/bounded-queue.ts';
import '../../../support/property-runs.ts';

test('it behaves as an array with a bound does, whatever is pushed and shifted', () => {
  const steps = fc.array(fc.oneof({ weight: 3, arbitrary: fc.nat() }, { weight: 2, arbitrary: fc.constant('shift') }), {
    maxLength: 400,
    size: 'max',
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), steps, (capacity, commands) => {
      const queue = new BoundedQueue<number>(capacity);
      const model: number[] = [];
      for (const command of commands) {
        if (typeof command === 'string') assert.equal(queue.shift(), model.shift());
        else {
          const fits = model.length < capacity;
          if (fits) model.push(command);
          assert.equal(queue.push(command), fits);
        }
        assert.equal(queue.length, model.length);
        assert.equal(queue.peek(), model[0]);
      }
      for (const expected of model) assert.equal(queue.shift(), expected);
      assert.equal(queue.shift(), undefined);
    }),
  );
});

test('it keeps no reference to what was taken out', () => {
  const queue = new BoundedQueue<object>(10);
  queue.push({});
  queue.shift();
  assert.ok(!JSON.stringify([queue.peek(), queue.shift()]).includes('{'));
});
