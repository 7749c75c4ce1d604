/** When a barrier is open, and how many there may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Barrier, barrierState, PARTIES_MAX } from '../../../../../shared/park/recipes/barrier.ts';
import { ParkInMaps, parkEntry } from '../../../../support/park-in-maps.ts';

test('who is there counts; what is open stays open, whoever goes', () => {
  const two = [parkEntry('a', 1), parkEntry('b', 2), parkEntry('gate.x', 3, { ephemeral: false, value: null })];
  assert.deepEqual(barrierState(two, 3), { kind: 'waiting', missing: 1 });
  assert.deepEqual(barrierState(two, 2), { kind: 'complete' });
  const open = parkEntry('open', 9, { ephemeral: false, value: null });
  assert.deepEqual(barrierState([open], 3), { kind: 'open', token: 9 });
});

test('it takes parties within bounds, the same number for all', async () => {
  const park = new ParkInMaps();
  const client = park.client('test');
  for (const parties of [0, 1.5, PARTIES_MAX + 1])
    assert.throws(() => new Barrier(client, 'd', parties), { code: 'PARK_REQUEST_INVALID' });
  const giveUp = new AbortController();
  const first = new Barrier(client, 'd', 3);
  const waiting = assert.rejects(first.arrive({ timeoutMs: 60_000, signal: giveUp.signal }), { code: 'CANCELLED' });
  await assert.rejects(first.arrive({ timeoutMs: 60_000 }), { code: 'PARK_REQUEST_INVALID', detail: /another object/ });
  await assert.rejects(new Barrier(client, 'd', 2).arrive({ timeoutMs: 60_000 }), { detail: /same number/ });
  giveUp.abort();
  await waiting;
  await park.close();
});
