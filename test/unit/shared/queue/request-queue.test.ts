import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { QueueClassConfig } from '../../../../shared/config/cluster-schema.ts';
import { type Queueable, RequestQueue } from '../../../../shared/queue/request-queue.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

const KIB = 1024;

function classConfig(fields: Partial<QueueClassConfig> = {}): QueueClassConfig {
  return { weight: 1, capacity: 10, capacityBytes: 64 * KIB, concurrency: 10, ...fields };
}

function item(requestClass = 0, queueBytes = 100): Queueable {
  return { requestClass, queueBytes, takenFrom: undefined };
}

test('a full class refuses, and another class still takes', () => {
  const queue = new RequestQueue({ a: classConfig({ capacity: 1 }), b: classConfig() });
  assert.deepEqual([queue.push(item(0)), queue.push(item(0)), queue.push(item(1))], [true, false, true]);
  assert.deepEqual(
    queue.depths().map(({ waiting, refused }) => [waiting, refused]),
    [
      [1, 1],
      [1, 0],
    ],
  );
});

test('a class is full by bytes before it is by number', () => {
  const queue = new RequestQueue({ a: classConfig({ capacityBytes: 1_000 }) });
  assert.deepEqual([queue.push(item(0, 600)), queue.push(item(0, 401)), queue.push(item(0, 400))], [true, false, true]);
  queue.take();
  assert.ok(queue.push(item(0, 600)));
});

test('a class at its concurrency is passed over until one of its requests is released', () => {
  const queue = new RequestQueue({ a: classConfig({ concurrency: 1 }), b: classConfig() });
  for (const requestClass of [0, 0, 1]) queue.push(item(requestClass));
  const first = queue.take() as Queueable;
  assert.deepEqual([first.requestClass, queue.take()?.requestClass, queue.take()], [0, 1, undefined]);
  queue.release(first);
  assert.equal(queue.take()?.requestClass, 0);
});

test('a class that does not exist counts as the first', () => {
  const queue = new RequestQueue({ a: classConfig() });
  const odd = item(200);
  queue.push(odd);
  assert.equal(queue.take(), odd);
  queue.release(odd);
  assert.deepEqual(queue.depths(), [{ name: 'a', waiting: 0, bytes: 0, out: 0, refused: 0 }]);
});

test('a smaller capacity holds for what comes next, and loses nothing that waits', () => {
  const queue = new RequestQueue({ a: classConfig() });
  for (let count = 0; count < 5; count++) queue.push(item());
  queue.configure({ a: classConfig({ capacity: 2 }) });
  assert.deepEqual([queue.push(item()), queue.waiting], [false, 5]);
});

type Step = readonly [kind: 'push' | 'take' | 'release' | 'configure', pick: number];

const CONFIGS: Readonly<Record<string, QueueClassConfig>>[] = [
  { a: classConfig({ capacity: 3, concurrency: 2 }), b: classConfig({ capacityBytes: 1_000, concurrency: 3 }) },
  { a: classConfig({ capacity: 2, concurrency: 1, weight: 5 }) },
  { b: classConfig({ concurrency: 4 }), a: classConfig(), c: classConfig({ capacity: 1 }) },
];

test('Q1, Q2: bounds hold and nothing is lost or counted twice, also when the classes change under way', () => {
  const kind = fc.constantFrom<Step[0]>('push', 'push', 'push', 'take', 'take', 'release', 'configure');
  fc.assert(
    fc.property(fc.array(fc.tuple(kind, fc.nat(1_000)), { maxLength: 80 }), (steps) => {
      const queue = new RequestQueue<Queueable>(CONFIGS[0] ?? {});
      let config = CONFIGS[0] ?? {};
      let configured = false;
      let waiting = 0;
      const out: Queueable[] = [];
      for (const [what, pick] of steps) {
        if (what === 'push') waiting += queue.push(item(pick % 4, pick)) ? 1 : 0;
        else if (what === 'take') {
          const taken = queue.take();
          if (taken === undefined) continue;
          waiting--;
          out.push(taken);
        } else if (what === 'release') {
          const [done] = out.splice(pick % Math.max(1, out.length), 1);
          if (done !== undefined) queue.release(done);
        } else {
          config = CONFIGS[pick % CONFIGS.length] ?? {};
          configured = true;
          queue.configure(config);
        }
        assert.deepEqual([queue.waiting, queue.out], [waiting, out.length]);
        const depths = queue.depths();
        assert.equal(
          depths.reduce((sum, depth) => sum + depth.waiting, 0),
          waiting,
        );
        assert.equal(
          depths.reduce((sum, depth) => sum + depth.out, 0),
          out.length,
        );
        if (configured) continue; // what waited or was out before may be over the new bounds
        for (const depth of depths) {
          const limits = config[depth.name] as QueueClassConfig;
          assert.ok(depth.waiting <= limits.capacity && depth.bytes <= limits.capacityBytes); // Q1
          assert.ok(depth.out <= limits.concurrency); // Q2
        }
      }
      for (const done of out.splice(0)) queue.release(done);
      for (let taken = queue.take(); taken !== undefined; taken = queue.take()) queue.release(taken);
      for (const { waiting: left, bytes, out: stillOut } of queue.depths())
        assert.deepEqual([left, bytes, stillOut], [0, 0, 0]);
    }),
    fewerRuns(2),
  );
});
