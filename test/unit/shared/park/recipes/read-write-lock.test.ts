/** What a read-write lock hands out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadWriteLock } from '../../../../../shared/park/recipes/read-write-lock.ts';
import { ParkInMaps } from '../../../../support/park-in-maps.ts';

test('a writer gets a fence of the lock’s name, a reader only a token', async () => {
  const park = new ParkInMaps();
  const lock = new ReadWriteLock(park.client('test'), 'locks.report');
  const reader = await lock.acquireRead({ timeoutMs: 60_000 });
  await assert.rejects(lock.acquireWrite({ timeoutMs: 60_000 }), { code: 'PARK_REQUEST_INVALID' });
  await reader.release();
  const { hold, fence } = await lock.acquireWrite({ timeoutMs: 60_000 });
  assert.deepEqual(fence, { name: 'locks.report', token: hold.token });
  assert.ok(fence.token > reader.token);
  await hold.release();
  await park.close();
});
