import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { collectWhenIdle, type Memory } from '../../../shared/idle-memory.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MIB = 1024 * 1024;

class FakeMemory implements Memory {
  busy = 0;
  heapMib = 40;
  /** What a collection leaves. */
  neededMib = 15;
  collections = 0;

  busyShare(): number {
    return this.busy;
  }

  heapBytes(): number {
    return this.heapMib * MIB;
  }

  collect(): void {
    this.collections++;
    this.heapMib = this.neededMib;
  }
}

function watched(): { clock: ManualClock; memory: FakeMemory; cancel: () => void } {
  const clock = new ManualClock();
  const memory = new FakeMemory();
  const watch = collectWhenIdle(clock, memory);
  return { clock, memory, cancel: () => watch.cancel() };
}

test('what starting left behind is collected once the thread is idle', () => {
  const { clock, memory } = watched();
  assert.equal(memory.collections, 0);
  clock.advance(2_000);
  assert.equal(memory.collections, 1);
});

test('a busy thread is left alone, and collected when the busy time is over', () => {
  const { clock, memory } = watched();
  memory.busy = 0.5;
  clock.advance(60_000);
  assert.equal(memory.collections, 0);
  memory.busy = 0.01;
  clock.advance(2_000);
  assert.equal(memory.collections, 1);
});

test('an idle thread is collected once, and again only when its heap has grown', () => {
  const { clock, memory } = watched();
  clock.advance(60_000);
  assert.equal(memory.collections, 1);
  memory.heapMib = 18;
  clock.advance(60_000);
  assert.equal(memory.collections, 1);
  memory.heapMib = 19;
  clock.advance(60_000);
  assert.equal(memory.collections, 2);
});

test('nothing is looked at any more once it is cancelled', () => {
  const { clock, memory, cancel } = watched();
  cancel();
  clock.advance(60_000);
  assert.equal(memory.collections, 0);
  assert.equal(clock.pendingTimers, 0);
});

test('a real collection gives back what the garbage took, and the room that new objects were given', () => {
  const clock = new ManualClock();
  let garbage: object[] | undefined = Array.from({ length: 200_000 }, (_, index) => ({ index }));
  assert.equal(garbage.length, 200_000);
  garbage = undefined;
  const grown = { heapBytes: getHeapStatistics().total_heap_size, newSpaceBytes: newSpaceBytes() };
  const watch = collectWhenIdle(clock);
  clock.advance(2_000); // idle to its eyes: no turn of the event loop has ended since it began
  watch.cancel();
  assert.ok(getHeapStatistics().total_heap_size < grown.heapBytes - 4 * MIB, `expected less than ${grown.heapBytes}`);
  assert.ok(
    newSpaceBytes() <= grown.newSpaceBytes / 2,
    `expected ${newSpaceBytes()} to be half of ${grown.newSpaceBytes}`,
  );
});

function newSpaceBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0;
}
