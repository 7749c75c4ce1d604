import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aboveEpochs, birthEpochOf, type Draft, nextPublication } from '../../../coordinator-server/publication.ts';
import { echoRoute, smallBucketMap, smallClusterConfig } from '../../support/small-cluster.ts';

function draft(changes: Partial<Draft> = {}): Draft {
  return {
    accepted: { config: smallClusterConfig(), bucketMap: smallBucketMap(5) },
    manifests: [{ serverId: 'g1a', version: '1', order: 1, routes: [echoRoute()] }],
    takenOut: {},
    epochFloor: 0,
    term: 1,
    ...changes,
  };
}

const first = nextPublication(undefined, draft(), 1_000).publication;

test('the first state has the epoch of birth and the routes of the manifests', () => {
  assert.equal(first.state.epoch, 1_000);
  assert.deepEqual(first.state.routes, [echoRoute()]);
});

test('the epoch of birth is above all that a cluster born earlier has published', () => {
  const bornEarlier = birthEpochOf(Date.UTC(2025, 0, 1));
  assert.ok(birthEpochOf(Date.UTC(2025, 0, 2)) > bornEarlier + 80_000);
});

test('equal content is not published again', () => {
  assert.equal(nextPublication(first, draft(), 0).changed, 'nothing');
});

test('a manifest without new routes is kept, under the same epoch', () => {
  const manifests = [...draft().manifests, { serverId: 'g1b', version: '1', order: 2, routes: [echoRoute()] }];
  const next = nextPublication(first, draft({ manifests }), 0);
  assert.equal(next.changed, 'manifests');
  assert.equal(next.publication.state.epoch, 1_000);
  assert.equal(next.publication.manifests.length, 2);
});

test('a new route raises the epoch', () => {
  const manifests = [{ serverId: 'g1a', version: '2', order: 2, routes: [echoRoute(), echoRoute('/echo2')] }];
  const next = nextPublication(first, draft({ manifests }), 0);
  assert.deepEqual([next.changed, next.publication.state.epoch], ['state', 1_001]);
});

test('the manifest of a server that the config no longer names is dropped', () => {
  const manifests = [{ serverId: 'gone', version: '1', order: 1, routes: [echoRoute()] }];
  assert.deepEqual(nextPublication(first, draft({ manifests }), 0).publication.state.routes, []);
});

test('a server with a newer state lifts the next epochs above its own, once', () => {
  const lifted = aboveEpochs(draft(), 5_000, 7);
  const next = nextPublication(first, lifted, 0).publication;
  assert.deepEqual([next.state.epoch, next.state.bucketMap.epoch], [5_001, 8]);
  assert.equal(nextPublication(next, lifted, 0).changed, 'nothing');
  assert.equal(aboveEpochs(lifted, 4_000, 7), lifted);
});

test('a newer state with the same bucket map is enough to lift the epoch', () => {
  const next = nextPublication(first, aboveEpochs(draft(), 5_000, 0), 0);
  assert.deepEqual([next.changed, next.publication.state.epoch], ['state', 5_001]);
});

test('a server taken out raises the epoch, and the bucket map keeps its own', () => {
  const next = nextPublication(first, draft({ takenOut: { g1a: 'drain' } }), 0);
  assert.deepEqual([next.changed, next.publication.state.epoch], ['state', 1_001]);
  assert.deepEqual(next.publication.state.takenOut, { g1a: 'drain' });
  assert.equal(next.publication.state.bucketMap.epoch, first.state.bucketMap.epoch);
});
