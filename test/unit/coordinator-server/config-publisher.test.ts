import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AcceptedConfig,
  type ConfigDecision,
  decideConfig,
} from '../../../coordinator-server/config-publisher.ts';
import type { ClusterConfig, GroupConfig } from '../../../shared/config/cluster-schema.ts';
import { sameOwners } from '../../../shared/routing/bucket-map.ts';
import { smallBucketMap, smallClusterConfig } from '../../support/small-cluster.ts';

const accepted: AcceptedConfig = { config: smallClusterConfig(), bucketMap: smallBucketMap(5) };

function decideAfter(change: (config: ClusterConfig) => void): ConfigDecision {
  const next = structuredClone(accepted.config);
  change(next);
  return decideConfig(accepted, next, 1);
}

function first(config: ClusterConfig): GroupConfig {
  return config.groups[0] as GroupConfig;
}

test('a born cluster takes the file as it is, with the bucket map at the epoch of birth', () => {
  const decision = decideConfig(undefined, smallClusterConfig(), 77);
  assert.ok(decision.kind === 'publish');
  assert.deepEqual(decision.accepted.bucketMap, smallBucketMap(77));
});

test('the same config is nothing new, also after a way through JSON', () => {
  assert.equal(decideConfig(accepted, JSON.parse(JSON.stringify(accepted.config)), 1).kind, 'nothing');
});

test('what moves data is refused with every reason', () => {
  const decision = decideAfter((config) => {
    config.dataFolder = 'elsewhere';
    first(config).replicas.pop();
  });
  assert.ok(decision.kind === 'refuse');
  assert.equal(decision.code, 'CONFIG_MOVES_DATA');
  assert.match(decision.reasons.join('\n'), /^dataFolder: was data.*\ngroups.g1.replicas: g1r2 is missing/);
});

test('frames that leave a bucket without an owner are refused as invalid', () => {
  const decision = decideAfter((config) => Object.assign(first(config), { frames: ['0-48'] }));
  assert.ok(decision.kind === 'refuse');
  assert.equal(decision.code, 'CONFIG_INVALID');
});

test('groups listed in another order are published under a higher epoch of the bucket map, with the same owners', () => {
  const decision = decideAfter((config) => config.groups.reverse());
  assert.ok(decision.kind === 'publish');
  assert.equal(decision.accepted.bucketMap.epoch, 6);
  assert.ok(sameOwners(decision.accepted.bucketMap, accepted.bucketMap));
  assert.deepEqual(decision.accepted.bucketMap.groupIds, ['g2', 'g1']);
});

test('a config that moves no bucket keeps the bucket map as it is', () => {
  const decision = decideAfter((config) => Object.assign(config.limits, { bodyBytesMax: 7 }));
  assert.ok(decision.kind === 'publish');
  assert.equal(decision.accepted.bucketMap, accepted.bucketMap);
  assert.deepEqual(decision.changes, ['limits']);
});

test('whatever is published leaves every bucket where it is', () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 1 });
  const run = ([cut]: number[], swapped: boolean) => {
    const decision = decideAfter((config) => {
      const [low, high] = [`0-${(cut as number) - 1}`, `${cut}-99`];
      first(config).frames = [swapped ? high : low];
      (config.groups[1] as GroupConfig).frames = [swapped ? low : high];
    });
    if (decision.kind === 'publish') assert.ok(sameOwners(decision.accepted.bucketMap, accepted.bucketMap));
    assert.equal(decision.kind === 'refuse', cut !== 50 || swapped);
  };
  fc.assert(fc.property(cuts, fc.boolean(), run));
});
