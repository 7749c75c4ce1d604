import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heartbeat } from '../../../../shared/link/heartbeat.ts';

test('the newest PING is timed, a late PONG to an older one is not', () => {
  const heartbeat = new Heartbeat();
  const first = heartbeat.ping(100);
  const second = heartbeat.ping(350);
  heartbeat.pong(first, 400);
  assert.equal(heartbeat.pongMs, 0);
  heartbeat.pong(second, 390);
  assert.equal(heartbeat.pongMs, 40);
});

test('a drain is heard with the PONG to the PING behind it, not with one to a PING before it', () => {
  const heartbeat = new Heartbeat();
  const before = heartbeat.ping(0);
  assert.equal(heartbeat.beginDrain(), true);
  const behind = heartbeat.ping(1);
  heartbeat.pong(before, 2);
  assert.equal(heartbeat.drainHeard, false);
  heartbeat.pong(behind, 3);
  assert.equal(heartbeat.drainHeard, true);
  assert.equal(heartbeat.beginDrain(), false);
});
