import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { requireDataInPlace } from '../../../../deploy/local-cluster/data-in-place.ts';
import type { ClusterConfig, GroupConfig } from '../../../../shared/config/cluster-schema.ts';
import { PublishedStateFile, publishedStatePath } from '../../../../shared/published-state-file.ts';
import { smallClusterConfig, smallState } from '../../../support/small-cluster.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'trunkline-in-place-'));
});
afterEach(() => rm(root, { recursive: true }));

/** Keeps what a server would keep. */
function keep(serverId: string, content: unknown): Promise<void> {
  return new PublishedStateFile(publishedStatePath(root, 'data', serverId), (value) => value).write(content);
}

function swapped(config: ClusterConfig): ClusterConfig {
  const [first, second] = config.groups as [GroupConfig, GroupConfig];
  [first.frames, second.frames] = [second.frames, first.frames];
  return config;
}

const movesData = {
  code: 'CONFIG_MOVES_DATA',
  detail: /holds the data of cluster small[\s\S]*buckets 0-49 belong to g1/,
};

test('a config that nothing was ever published of may do as it likes', () => {
  requireDataInPlace(swapped(smallClusterConfig()), root);
});

test('a config that would move the data of what the coordinator published is refused with the reasons', async () => {
  await keep('c1', { state: smallState(5), manifests: [] });
  requireDataInPlace(smallClusterConfig(), root);
  assert.throws(() => requireDataInPlace(swapped(smallClusterConfig()), root), movesData);
});

test('a coordinator without its folder is no way around: every server knows what was published', async () => {
  await keep('g1a', smallState(5));
  assert.throws(() => requireDataInPlace(swapped(smallClusterConfig()), root), movesData);
});

test('of several states the newest counts', async () => {
  const old = { ...smallState(4), config: { ...smallState(4).config, cluster: 'renamed' } };
  await keep('c1', { state: old, manifests: [] });
  await keep('d1', smallState(5));
  await keep('g1a', old);
  requireDataInPlace(smallClusterConfig(), root);
});

test('a state that cannot be read says nothing', async () => {
  await keep('c1', { state: 'of the art' });
  requireDataInPlace(smallClusterConfig(), root);
});
