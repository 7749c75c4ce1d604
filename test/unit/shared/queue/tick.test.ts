import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tick } from '../../../../shared/queue/tick.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

function tickOf(): { clock: FakeClock; tick: Tick; order: string[] } {
  const clock = new FakeClock();
  return { clock, tick: new Tick(clock), order: [] };
}

test('T1: every scan of a turn comes before every flush, whatever was asked for first', () => {
  const { clock, tick, order } = tickOf();
  tick.flush(() => order.push('flush 1'));
  tick.scan(() => {
    order.push('scan 1');
    tick.flush(() => order.push('flush of scan 1'));
  });
  tick.scan(() => order.push('scan 2'));
  clock.endTick();
  assert.deepEqual(order, ['scan 1', 'scan 2', 'flush 1', 'flush of scan 1']);
});

test('T2: a scan that asks again gets the next turn, after the flushes of this one', () => {
  const { clock, tick, order } = tickOf();
  tick.scan(() => {
    order.push('scan');
    tick.scan(() => order.push('again'));
  });
  tick.flush(() => order.push('flush'));
  clock.endTick();
  assert.deepEqual(order, ['scan', 'flush']);
  clock.endTick();
  assert.deepEqual(order, ['scan', 'flush', 'again']);
});

test('what a flush asks to be flushed leaves in this turn, and what it asks to be scanned in the next', () => {
  const { clock, tick, order } = tickOf();
  tick.flush(() => {
    order.push('flush');
    tick.flush(() => order.push('second flush'));
    tick.scan(() => order.push('scan'));
  });
  clock.endTick();
  assert.deepEqual(order, ['flush', 'second flush']);
  clock.endTick();
  assert.deepEqual(order, ['flush', 'second flush', 'scan']);
});

test('many turns of many scans run each exactly once', () => {
  const { clock, tick, order } = tickOf();
  for (let turn = 0; turn < 10; turn++) {
    for (let count = 0; count < 3; count++) tick.scan(() => order.push(`${turn}.${count}`));
    clock.endTick();
  }
  assert.equal(new Set(order).size, 30);
  assert.deepEqual([order.length, clock.waitingForEndOfTick], [30, 0]);
});
