import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildBucketMap, sameOwners } from '../../../../shared/routing/bucket-map.ts';
import { changed, configOf, SMALL_CLUSTER } from '../../../support/cluster-text.ts';

test('a bucket map names the groups, the owner of every bucket and its epoch', () => {
  const map = buildBucketMap(configOf(SMALL_CLUSTER), 7);
  assert.equal(map.epoch, 7);
  assert.deepEqual(map.groupIds, ['g1', 'g2']);
  assert.deepEqual(
    [map.owners.length, map.owners[0], map.owners[49], map.owners[50], map.owners[99]],
    [100, 0, 0, 1, 1],
  );
});

test('two maps have the same owners whatever their epochs and the order of their groups', () => {
  const map = buildBucketMap(configOf(SMALL_CLUSTER), 1);
  const turned = { epoch: 2, groupIds: ['g2', 'g1'], owners: map.owners.map((owner) => 1 - owner) };
  assert.equal(sameOwners(map, turned), true);
  assert.equal(sameOwners(map, { ...turned, groupIds: ['g1', 'g2'] }), false);
});

test('one moved bucket, a renamed group or another bucket count is another map', () => {
  const map = buildBucketMap(configOf(SMALL_CLUSTER), 1);
  const moved = buildBucketMap(configOf(changed('[50-99]', '[49-99]', changed('[0-49]', '[0-48]'))), 1);
  const renamed = buildBucketMap(configOf(changed('- id: g2\n', '- id: g3\n')), 1);
  assert.equal(sameOwners(map, moved), false);
  assert.equal(sameOwners(map, renamed), false);
  assert.equal(sameOwners(map, { ...map, owners: map.owners.slice(1) }), false);
});
