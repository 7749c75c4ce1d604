/** A client straight on a store, as controllers have it. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ParkStoreChannel } from '../../../../coordinator-server/park/park-store-channel.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { ParkClient } from '../../../../shared/park/park-client.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { MemoryParkStore } from '../../../support/memory-park-store.ts';

let clock: ManualClock;
let store: MemoryParkStore;
let client: ParkClient;

beforeEach(() => {
  clock = new ManualClock();
  store = new MemoryParkStore(clock);
  client = clientNamed('ann');
});

function clientNamed(name: string, platform = false): ParkClient {
  const made = new ParkClient({ channel: new ParkStoreChannel({ store, platform, clock }), name, clock });
  made.start();
  return made;
}

async function turn(): Promise<void> {
  for (let times = 0; times < 20; times++) await Promise.resolve();
}

test('the operations of the park, end to end', async () => {
  const { revision } = await client.create('d', 'a', { n: 1 });
  assert.deepEqual(await client.update('d', 'a', { n: 2 }, { ifVersion: 1 }), { node: 'a', version: 2, revision: 2 });
  await assert.rejects(client.update('d', 'a', 3, { ifVersion: 1 }), { code: 'PARK_VERSION_CONFLICT' });
  assert.deepEqual((await client.get('d', 'a'))?.value, { n: 2 });
  assert.equal(await client.getLatest('d', 'a', 2), undefined);
  assert.equal((await client.getLatest('d', 'a', revision))?.owner, 'ann');
  const { node } = await client.create('d', undefined, 'generated');
  assert.match(node, /^n\d{16}$/);
  const { nodes } = await client.transact({
    checks: [{ domain: 'd', node: 'a', version: 2 }],
    writes: [
      { op: 'put', domain: 'd', node: 'b', value: [1] },
      { op: 'delete', domain: 'd', node },
    ],
  });
  assert.deepEqual(nodes, ['b', node]);
  assert.deepEqual(
    (await client.getDomain('d')).map((entry) => [entry.node, entry.value]),
    [
      ['a', { n: 2 }],
      ['b', [1]],
    ],
  );
  assert.equal(await client.getLatestDomain('d', 4), undefined);
  assert.equal((await client.getLatestDomain('d', 3))?.revision, 4);
  assert.deepEqual(await client.domains(), [{ domain: 'd', nodes: 2, owner: 'ann', deletable: false }]);
  await client.delete('d', 'b');
  await client.setDeletable('d');
  await clientNamed('bob').deleteDomain('d');
  assert.deepEqual(await client.getDomain('d'), []);
});

test("rights are the session's; the platform's own domains are the platform's", async () => {
  await client.create('d', 'a', 1, { access: 'read' });
  await assert.rejects(clientNamed('bob').update('d', 'a', 2), { code: 'PARK_RIGHTS_MISSING' });
  await client.update('d', 'a', 2);
  await assert.rejects(client.put('trunkline.x', 'a', 1), { code: 'PARK_RIGHTS_MISSING' });
  await clientNamed('controller', true).put('trunkline.x', 'a', 1);
});

test('ephemeral nodes go with the client, and a watch tells it', async () => {
  const other = clientNamed('bob');
  const told: string[] = [];
  other.watch('d', (change) => void told.push(change.kind));
  await client.create('d', 'a', 1, { ephemeral: true });
  client.close();
  await turn();
  assert.deepEqual(told, ['content', 'put', 'removed']);
});

test('a watch that the store ends goes on by itself', async () => {
  const told: string[] = [];
  client.watch('d', (change) => void told.push(`${change.kind}@${change.revision}`));
  await client.put('d', 'a', 1);
  store.endWatches(new PlatformError('PARK_WATCH_BEHIND', 'too slow'));
  await client.put('d', 'a', 2);
  clock.advance(200);
  assert.deepEqual(told, ['content@0', 'put@1', 'put@2']);
  client.close();
  assert.equal(store.watchers.size, 0);
});

test('a store that does not serve now is asked again, until it does', async () => {
  await client.session();
  store.refusal = new PlatformError('NOT_LEADER', 'it is another one');
  const call = client.get('d', 'a');
  await turn();
  clock.advance(50);
  await turn();
  store.refusal = undefined;
  clock.advance(100);
  assert.equal(await call, undefined);
});
