import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeForNextHop } from '../../../shared/time-for-next-hop.ts';

test('each hop hands on a little less than it has, and never nothing', () => {
  assert.equal(timeForNextHop(10_000), 9_950);
  assert.equal(timeForNextHop(100), 95);
  assert.equal(timeForNextHop(1), 1);
  assert.equal(timeForNextHop(-5), 1);
});
