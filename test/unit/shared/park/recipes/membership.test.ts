/** A member that lost its place takes it again, until it leaves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Membership, membersOf } from '../../../../../shared/park/recipes/membership.ts';
import { eventually } from '../../../../support/eventually.ts';
import { ParkInMaps, parkEntry } from '../../../../support/park-in-maps.ts';

const SOON = { timeoutMs: 60_000 };

test('members are those with a claim, the oldest first', () => {
  const entries = [parkEntry('b', 2), parkEntry('a', 5), parkEntry('note', 1, { value: 'x' })];
  assert.deepEqual(membersOf(entries), [
    { id: 'b', token: 2, info: null },
    { id: 'a', token: 5, info: null },
  ]);
});

test('a member whose session ended is there again with a greater token; one that left is not', async () => {
  const park = new ParkInMaps();
  const membership = new Membership(park.client('test', 300), 'd');
  const seat = await membership.join('m1', null, SOON);
  const { token = 0 } = seat;
  const endSessions = async (): Promise<void> => {
    for (const id of park.store.sessions.keys()) await park.store.endSession(id);
  };
  await endSessions();
  const again = await eventually('its place', () => (seat.token === token ? undefined : seat.token));
  assert.ok(again > token);
  assert.deepEqual(await membership.members(), [{ id: 'm1', token: again, info: null }]);
  await seat.leave();
  await seat.leave();
  assert.deepEqual([seat.token, await membership.members()], [undefined, []]);
  await park.close();
});
