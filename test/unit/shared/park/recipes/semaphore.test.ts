/** How many permits there may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PERMITS_MAX, Semaphore } from '../../../../../shared/park/recipes/semaphore.ts';
import { ParkInMaps } from '../../../../support/park-in-maps.ts';

test('a semaphore of none, of one, of a part or of too many is refused', async () => {
  const park = new ParkInMaps();
  for (const permits of [0, 1, 2.5, PERMITS_MAX + 1])
    assert.throws(() => new Semaphore(park.client('test'), 'd', permits), { code: 'PARK_REQUEST_INVALID' });
  await park.close();
});
