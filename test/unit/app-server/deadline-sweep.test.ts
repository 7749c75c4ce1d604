import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DeadlineSweep, type Expiring } from '../../../app-server/deadline-sweep.ts';
import { ManualClock } from '../../support/manual-clock.ts';

class Item implements Expiring {
  expiresAtMs: number;
  expiredAtMs: number | undefined;

  constructor(expiresAtMs: number) {
    this.expiresAtMs = expiresAtMs;
  }

  expire(nowMs: number): boolean {
    this.expiredAtMs = nowMs;
    return false;
  }
}

describe('deadline sweep', () => {
  it('expires each item at its time, at most a sweep late, in any order of adding', () => {
    const plan = fc.array(
      fc.record({ pauseMs: fc.integer({ min: 0, max: 20 }), lifeMs: fc.integer({ min: 1, max: 100 }) }),
    );
    fc.assert(
      fc.property(plan, (steps) => {
        const clock = new ManualClock();
        const sweep = new DeadlineSweep(clock);
        const items: Item[] = [];
        for (const { pauseMs, lifeMs } of steps) {
          clock.advance(pauseMs);
          const item = new Item(clock.nowMs() + lifeMs);
          items.push(item);
          sweep.add(item);
        }
        clock.advance(200);
        for (const { expiresAtMs, expiredAtMs } of items) {
          assert.ok(expiredAtMs !== undefined && expiredAtMs >= expiresAtMs && expiredAtMs <= expiresAtMs + 4);
        }
        assert.equal(sweep.size, 0);
        assert.equal(clock.pendingTimers, 0);
      }),
    );
  });

  it('has one timer, however many items', () => {
    const clock = new ManualClock();
    const sweep = new DeadlineSweep(clock);
    for (let life = 500; life > 0; life -= 1) sweep.add(new Item(clock.nowMs() + life));
    assert.equal(clock.pendingTimers, 1);
    sweep.close();
    assert.equal(clock.pendingTimers, 0);
  });

  it('never expires what was deleted', () => {
    const clock = new ManualClock();
    const sweep = new DeadlineSweep(clock);
    const item = new Item(clock.nowMs() + 10);
    sweep.add(item);
    sweep.delete(item);
    clock.advance(100);
    assert.equal(item.expiredAtMs, undefined);
  });
});
