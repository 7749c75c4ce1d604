/** What observers of an election are told, and when a candidate's session ends while it waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaderElection } from '../../../../../shared/park/recipes/leader-election.ts';
import { eventually } from '../../../../support/eventually.ts';
import { ParkInMaps } from '../../../../support/park-in-maps.ts';

const SOON = { timeoutMs: 60_000 };

test('an observer hears of leaders, not of candidates, until it has heard enough', async () => {
  const park = new ParkInMaps();
  const [anna, ben] = [park.client('anna'), park.client('ben')];
  const first = await new LeaderElection(anna, 'd').campaign('anna', SOON);
  const heard: unknown[] = [];
  new LeaderElection(ben, 'd').observe((leader) => {
    heard.push(leader?.candidate);
    return heard.length < 2;
  });
  const second = new LeaderElection(ben, 'd').campaign('ben', SOON);
  await eventually('both in the queue', async () => (await ben.getDomain('d')).length === 2);
  await first.hold.release();
  await (await second).hold.release();
  await eventually('nobody', async () => (await ben.getDomain('d')).length === 0);
  assert.deepEqual(heard, ['anna', 'ben']);
  await park.close();
});

test('a candidate whose session ended while it waited stands again, and leads in its turn', async () => {
  const park = new ParkInMaps();
  const [anna, ben] = [park.client('anna'), park.client('ben', 300)];
  const first = await new LeaderElection(anna, 'd').campaign('anna', SOON);
  const waiting = new LeaderElection(ben, 'd').campaign('ben', SOON);
  const queued = async (): Promise<string | undefined> => (await anna.getDomain('d'))[1]?.node;
  const before = await eventually('ben in the queue', queued);
  for (const [id, { name }] of park.store.sessions) if (name === 'ben') await park.store.endSession(id);
  await eventually('ben there again', async () => {
    const now = await queued();
    return now !== undefined && now !== before;
  });
  await first.hold.release();
  const second = await waiting;
  assert.ok(second.fence.token > first.fence.token);
  await second.hold.release();
  await park.close();
});
