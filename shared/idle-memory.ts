/**
 * Gives memory back while nobody waits: what loading and starting left behind, and what a busy time grew.
 *
 * V8 keeps the room it once needed (an idle server never fills it again, so nothing is ever collected). One full
 * collection returns it; that takes some 30 ms, in which this thread answers nobody, hence these rules:
 *
 * G1: only in a thread that was idle since the last look.
 * G2: only when the heap has grown by GROWTH_BYTES_MIN since the last time: an idle thread collects once.
 */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, systemClock, type TimerHandle } from './clock.ts';

/** What a thread shows of itself, and the way to have its memory collected. */
export interface Memory {
  /** Share of the time since the last call in which the event loop ran something, 0 to 1. */
  busyShare(): number;
  /** What V8 holds from the system for this thread. */
  heapBytes(): number;
  collect(): void;
}

const LOOK_EVERY_MS = 1_000;

/** Pings, leases and scrapes of a server without requests take less than half of it. */
const BUSY_SHARE_MAX = 0.05;

/** Less is not worth a pause. */
const GROWTH_BYTES_MIN = 4 * 1024 * 1024;

/** Looks at this thread until cancelled; does not keep it alive. */
export function collectWhenIdle(clock: Clock = systemClock, memory: Memory = threadMemory()): TimerHandle {
  let collectedBytes = 0;
  memory.busyShare(); // what came before the first look is start-up
  return clock.every(LOOK_EVERY_MS, () => {
    const idle = memory.busyShare() < BUSY_SHARE_MAX;
    if (!idle || memory.heapBytes() < collectedBytes + GROWTH_BYTES_MIN) return; // G1, G2
    memory.collect();
    collectedBytes = memory.heapBytes();
  });
}

function threadMemory(): Memory {
  let seen = performance.eventLoopUtilization();
  return {
    busyShare: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, seen);
      seen = now;
      return utilization;
    },
    heapBytes: () => getHeapStatistics().total_heap_size,
    collect: () => {
      // V8 shows `gc` to contexts made after this flag was set. The last resort is the one that also shrinks.
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc') as (options: { type: 'major'; flavor: 'last-resort' }) => void;
      gc({ type: 'major', flavor: 'last-resort' });
    },
  };
}
