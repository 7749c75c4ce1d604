import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { QueueClassConfig } from '../../../../shared/config/cluster-schema.ts';
import { type Queueable, RequestQueue } from '../../../../shared/queue/request-queue.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

const KIB = 1024;

function classConfig(fields: Partial<QueueClassConfig> = {}): QueueClassConfig {
  return { weight: 1, capacity: 10, capacityBytes: 64 * KIB, waitMsMax: 1_000, concurrency: 10, ...fields };
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

/** A queue, and beside it what must be true of it. */
class Model {
  readonly queue = new RequestQueue<Queueable>(CONFIGS[0] ?? {});
  #config = CONFIGS[0] ?? {};
  #configured = false;
  #waiting = 0;
  readonly #out: Queueable[] = [];

  take([what, pick]: Step): void {
    switch (what) {
      case 'push':
        this.#waiting += this.queue.push(item(pick % 4, pick)) ? 1 : 0;
        return;
      case 'take': {
        const taken = this.queue.take();
        if (taken === undefined) return;
        this.#waiting--;
        this.#out.push(taken);
        return;
      }
      case 'release': {
        const [done] = this.#out.splice(pick % Math.max(1, this.#out.length), 1);
        if (done !== undefined) this.queue.release(done);
        return;
      }
      case 'configure':
        this.#config = CONFIGS[pick % CONFIGS.length] ?? {};
        this.#configured = true;
        this.queue.configure(this.#config);
    }
  }

  assertHolds(): void {
    const depths = this.queue.depths();
    const sum = (of: 'waiting' | 'out'): number => depths.reduce((total, depth) => total + depth[of], 0);
    assert.deepEqual([this.queue.waiting, sum('waiting')], [this.#waiting, this.#waiting]);
    assert.deepEqual([this.queue.out, sum('out')], [this.#out.length, this.#out.length]);
    if (this.#configured) return; // what waited or was out before may be over the new bounds
    for (const depth of depths) {
      const limits = this.#config[depth.name] as QueueClassConfig;
      assert.ok(depth.waiting <= limits.capacity && depth.bytes <= limits.capacityBytes); // Q1
      assert.ok(depth.out <= limits.concurrency); // Q2
    }
  }

  /** Everything leaves: no class may keep a count of it. */
  assertEmpties(): void {
    for (const done of this.#out.splice(0)) this.queue.release(done);
    for (let taken = this.queue.take(); taken !== undefined; taken = this.queue.take()) this.queue.release(taken);
    for (const { waiting, bytes, out } of this.queue.depths()) assert.deepEqual([waiting, bytes, out], [0, 0, 0]);
  }
}

test('Q1, Q2: bounds hold and nothing is lost or counted twice, also when the classes change under way', () => {
  const kind = fc.constantFrom<Step[0]>('push', 'push', 'push', 'take', 'take', 'release', 'configure');
  fc.assert(
    fc.property(fc.array(fc.tuple(kind, fc.nat(1_000)), { maxLength: 80, size: 'max' }), (steps) => {
      const model = new Model();
      for (const step of steps) {
        model.take(step);
        model.assertHolds();
      }
      model.assertEmpties();
    }),
    fewerRuns(2),
  );
});
