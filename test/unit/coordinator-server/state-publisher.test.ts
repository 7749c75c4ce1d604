import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Publication } from '../../../coordinator-server/publication.ts';
import { StatePublisher, WRITE_RETRY_MS } from '../../../coordinator-server/state-publisher.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { PublishedState } from '../../../shared/published-state.ts';
import { PublishedStateFile } from '../../../shared/published-state-file.ts';
import { MANIFEST_ROUTES_MAX } from '../../../shared/published-state-schema.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { echoRoute, smallBucketMap, smallClusterConfig } from '../../support/small-cluster.ts';

let folder: string;
let file: string;
let clock: ManualClock;
let published: PublishedState[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-publisher-'));
  file = join(folder, 'published-state.json');
  clock = new ManualClock();
  published = [];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function makePublisher(onPublished = (state: PublishedState): void => void published.push(state)): StatePublisher {
  const stateFile = new PublishedStateFile(file, (value) => value as Publication);
  return new StatePublisher({ keeper: stateFile, term: 1, log: silentLogger, clock, onPublished });
}

async function born(publisher: StatePublisher): Promise<StatePublisher> {
  await publisher.recover('small');
  publisher.accept({ config: smallClusterConfig(), bucketMap: smallBucketMap(1) });
  publisher.begin();
  return publisher;
}

test('a state is on disk before anybody hears of it', async () => {
  const onDisk: number[] = [];
  const publisher = await born(
    makePublisher((state) => {
      const kept = JSON.parse(readFileSync(file, 'utf8').split('\n')[1] ?? '') as Publication;
      onDisk.push(kept.state.epoch - state.epoch);
    }),
  );
  await publisher.settled();
  publisher.declare({ serverId: 'g1a', version: '1', routes: [echoRoute()] });
  await publisher.settled();
  assert.deepEqual(onDisk, [0, 0]);
});

test('while the disk fails nothing is published, and the newest is when it works again', async () => {
  const publisher = await born(makePublisher());
  await publisher.settled();
  await mkdir(`${file}.tmp`); // in the way of the temporary file
  publisher.declare({ serverId: 'g1a', version: '1', routes: [echoRoute()] });
  await publisher.settled();
  assert.equal(published.length, 1);
  assert.match(publisher.writeFailure, /cannot be written/);
  publisher.declare({ serverId: 'g1a', version: '2', routes: [echoRoute('/newer')] });
  await publisher.settled();
  await rm(`${file}.tmp`, { recursive: true });
  clock.advance(WRITE_RETRY_MS);
  await eventually('the state', () => published.length === 2);
  assert.equal(publisher.writeFailure, '');
  assert.equal(published[1]?.routes[0]?.pattern, '/newer');
});

test('changes that come during a write are published together', async () => {
  const publisher = await born(makePublisher());
  for (const serverId of ['g1a', 'g1b', 'g2a']) {
    publisher.declare({ serverId, version: '1', routes: [{ ...echoRoute(`/${serverId}`), service: serverId }] });
  }
  await publisher.settled();
  assert.deepEqual(
    published.map((state) => state.routes.length),
    [0, 3],
  );
});

test('what was published is taken up by the next life under the same epoch', async () => {
  const first = await born(makePublisher());
  first.declare({ serverId: 'g1a', version: '1', routes: [echoRoute()] });
  await first.close();
  const second = makePublisher();
  await second.recover('small');
  assert.deepEqual(second.state, first.state);
  second.begin();
  await second.settled();
  assert.equal(second.state?.epoch, first.state?.epoch);
});

test('the state of another cluster is not taken up', async () => {
  await (await born(makePublisher())).settled();
  await assert.rejects(makePublisher().recover('large'), { code: 'CONFIG_INVALID', message: /of cluster small/ });
});

test('routes that would make the state too large to send are refused, and what was stays', async () => {
  const publisher = await born(makePublisher());
  await publisher.settled();
  const huge = Array.from({ length: MANIFEST_ROUTES_MAX * 8 }, (_, index) => echoRoute(`/${index}/${'x'.repeat(400)}`));
  const declare = () => publisher.declare({ serverId: 'g1a', version: '1', routes: huge });
  assert.throws(declare, { code: 'CONFIG_INVALID', message: /at most 1048576 bytes/ });
  await publisher.settled();
  assert.equal(published.length, 1);
});

test('a server that knows a newer state lifts the epochs above its own', async () => {
  const publisher = await born(makePublisher());
  await publisher.settled();
  const epoch = (published[0] as PublishedState).epoch;
  publisher.raiseFloor(epoch, 1);
  publisher.raiseFloor(epoch - 1, 0);
  await publisher.settled();
  assert.equal(published.length, 1);
  publisher.raiseFloor(epoch + 100, 9);
  await publisher.settled();
  assert.deepEqual([published[1]?.epoch, published[1]?.bucketMap.epoch], [epoch + 101, 10]);
});

test('a server that is taken out stays out in the next life, and is put back by word only', async () => {
  const before = await born(makePublisher());
  await before.settled();
  const epoch = await before.takeOut('g1a', 'drain');
  assert.deepEqual([published.at(-1)?.epoch, published.at(-1)?.takenOut], [epoch, { g1a: 'drain' }]);
  assert.equal(await before.takeOut('g1a', 'drain'), epoch);
  await before.close();
  const next = makePublisher();
  await next.recover('small');
  assert.deepEqual(next.takenOut, { g1a: 'drain' });
  next.begin();
  assert.equal(await next.takeOut('g1a', undefined), epoch + 1);
  assert.deepEqual(published.at(-1)?.takenOut, {});
});

test('an order that cannot be written is refused now, and published when the disk works again', async () => {
  const publisher = await born(makePublisher());
  await publisher.settled();
  await mkdir(`${file}.tmp`);
  await assert.rejects(publisher.takeOut('g1a', 'maint'), { code: 'STORE_UNAVAILABLE' });
  await rm(`${file}.tmp`, { recursive: true });
  clock.advance(WRITE_RETRY_MS);
  await eventually('the state', () => published.at(-1)?.takenOut['g1a'] === 'maint');
});

test('a server that leaves the config is in service when it comes back', async () => {
  const publisher = await born(makePublisher());
  await publisher.takeOut('g1b', 'drain');
  const without = smallClusterConfig();
  without.groups[0]?.appServers.pop();
  publisher.accept({ config: without, bucketMap: smallBucketMap(1) });
  publisher.accept({ config: smallClusterConfig(), bucketMap: smallBucketMap(1) });
  await publisher.settled();
  assert.deepEqual(published.at(-1)?.takenOut, {});
});
