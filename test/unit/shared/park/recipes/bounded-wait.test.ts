/** Every wait ends, and leaves neither timer nor listener. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedWait, WAIT_MS_MAX } from '../../../../../shared/park/recipes/bounded-wait.ts';
import { ManualClock } from '../../../../support/manual-clock.ts';

const never = new Promise<never>(() => {});

test('a wait without an end is refused', () => {
  for (const timeoutMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, WAIT_MS_MAX + 1])
    assert.throws(() => new BoundedWait('x', { timeoutMs }, new ManualClock()), { code: 'PARK_REQUEST_INVALID' });
});

test('what comes in time is had, and nothing is left behind', async () => {
  const clock = new ManualClock();
  const wait = new BoundedWait('x', { timeoutMs: 100 }, clock);
  assert.equal(await wait.until(Promise.resolve(7)), 7);
  await assert.rejects(wait.until(Promise.reject(new Error('its own'))), /its own/);
  wait.close();
  assert.equal(clock.pendingTimers, 0);
});

test('the deadline ends it, now and for whatever it is asked later', async () => {
  const clock = new ManualClock();
  const wait = new BoundedWait('lock d', { timeoutMs: 100 }, clock);
  const waiting = assert.rejects(wait.until(never), { code: 'DEADLINE_EXCEEDED', detail: /lock d within 100 ms/ });
  const pausing = assert.rejects(wait.pause(500), { code: 'DEADLINE_EXCEEDED' });
  clock.advance(100);
  await Promise.all([waiting, pausing]);
  await assert.rejects(wait.until(Promise.resolve(1)), { code: 'DEADLINE_EXCEEDED' });
  assert.equal(clock.pendingTimers, 0);
});

test('the signal ends it, also one that was given before', async () => {
  const clock = new ManualClock();
  const giveUp = new AbortController();
  const wait = new BoundedWait('x', { timeoutMs: 100, signal: giveUp.signal }, clock);
  const waiting = assert.rejects(wait.until(never), { code: 'CANCELLED' });
  giveUp.abort(new Error('enough'));
  await waiting;
  const late = new BoundedWait('x', { timeoutMs: 100, signal: giveUp.signal }, clock);
  assert.throws(() => late.check(), { code: 'CANCELLED' });
  for (const one of [wait, late]) one.close();
});
