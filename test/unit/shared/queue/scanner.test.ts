import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Queueable, RequestQueue } from '../../../../shared/queue/request-queue.ts';
import { type HandedOn, Scanner } from '../../../../shared/queue/scanner.ts';
import { Tick } from '../../../../shared/queue/tick.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

interface Numbered extends Queueable {
  readonly number: number;
}

/** For what is counted on the way. */
const done = (_count: number): HandedOn => 'done';

function scanning(handOn: (item: Numbered) => HandedOn, concurrency = 10_000) {
  const clock = new FakeClock();
  const limits = { weight: 1, capacity: 10_000, capacityBytes: 1_000_000, waitMsMax: 1_000, concurrency };
  const queue = new RequestQueue<Numbered>({ only: limits });
  const scanner = new Scanner(queue, new Tick(clock), handOn);
  const push = (count: number): void => {
    for (let number = 0; number < count; number++)
      queue.push({ number, requestClass: 0, queueBytes: 1, takenFrom: undefined });
    scanner.wake();
  };
  return { clock, queue, scanner, push };
}

test('what was queued in a turn is handed on at its end, in order', () => {
  const handed: number[] = [];
  const { clock, push } = scanning(({ number }) => done(handed.push(number)));
  push(3);
  assert.deepEqual(handed, []);
  clock.endTick();
  assert.deepEqual(handed, [0, 1, 2]);
});

test('a long queue is handed on in batches, with a turn of the event loop between them', () => {
  let handed = 0;
  const { clock, push } = scanning(() => done(handed++));
  push(600);
  const after: number[] = [];
  while (clock.waitingForEndOfTick > 0) {
    clock.endTick();
    after.push(handed);
  }
  assert.deepEqual(after, [256, 512, 600]);
});

test('S3: who is handed a request may end the batch; the rest comes a turn later', () => {
  let handed = 0;
  const { clock, push } = scanning(() => (++handed % 3 === 0 ? 'last' : 'done'));
  push(10);
  clock.endTick();
  assert.equal(handed, 3);
  clock.settle();
  assert.equal(handed, 10);
});

test('S1: an empty queue asks for nothing, and waking twice scans once', () => {
  const { clock, scanner, push } = scanning(() => 'done');
  scanner.wake();
  assert.equal(clock.waitingForEndOfTick, 0);
  push(1);
  scanner.wake();
  assert.equal(clock.waitingForEndOfTick, 1);
  clock.settle();
  assert.equal(clock.pendingTimers, 0);
});

test('S2: what nobody can take now stays the first, and is tried again when woken, not before', () => {
  const handed: number[] = [];
  let writable = false;
  let asked = 0;
  const { clock, scanner, push } = scanning(({ number }) => {
    asked++;
    if (!writable) return 'blocked';
    handed.push(number);
    return 'done';
  });
  push(3);
  clock.settle();
  assert.deepEqual([asked, clock.waitingForEndOfTick], [1, 0]);
  writable = true;
  scanner.wake();
  clock.settle();
  assert.deepEqual(handed, [0, 1, 2]);
});

test('S2: the one that waits is woken for when the queue itself is empty', () => {
  let writable = false;
  let handed = 0;
  const { clock, queue, scanner, push } = scanning(() => (writable ? done(handed++) : 'blocked'));
  push(1);
  clock.settle();
  assert.deepEqual([queue.waiting, queue.out], [0, 1]);
  writable = true;
  scanner.wake();
  clock.settle();
  assert.equal(handed, 1);
});

test('a request released within a scan lets the next one go in the same turn', () => {
  const bench = scanning((item) => {
    bench.queue.release(item);
    return 'done';
  }, 1);
  bench.push(10);
  bench.clock.endTick();
  assert.equal(bench.queue.waiting, 0);
});
