import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WaitForecast } from '../../../interface-server/wait-forecast.ts';
import type { QueueClass } from '../../../shared/queue/request-queue.ts';

const busy = (waiting: number): QueueClass => ({
  waiting: { length: waiting },
  out: 4,
  concurrency: 4,
  waitMsMax: 1_000,
  refused: 0,
});

test('the wait is that of those before, by the places ahead', () => {
  const forecast = new WaitForecast();
  for (let count = 0; count < 60; count++) forecast.note(0, 200, 99); // 2 ms a place
  assert.ok(Math.abs(forecast.waitMs(0, busy(49)) - 100) < 1);
  assert.equal(forecast.waitMs(1, busy(49)), 0, 'another class knows nothing of it');
});

test('F1: a class with some concurrency left is not forecast, whatever its requests have waited for', () => {
  const forecast = new WaitForecast();
  forecast.note(0, 3_000, 0);
  assert.equal(forecast.waitMs(0, { ...busy(10), out: 3 }), 0);
  assert.ok(forecast.waitMs(0, busy(10)) > 1_000);
});

test('the forecast follows a load that gets lighter', () => {
  const forecast = new WaitForecast();
  for (let count = 0; count < 20; count++) forecast.note(0, 1_000, 9);
  for (let count = 0; count < 20; count++) forecast.note(0, 1, 0);
  assert.ok(forecast.waitMs(0, busy(9)) < 30);
});
