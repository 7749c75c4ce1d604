import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClusterConfig, GroupConfig } from '../../../../shared/config/cluster-schema.ts';

import {
  chooseStartConfig,
  type FoundConfig,
  type StartConfig,
  stateAsFound,
} from '../../../../shared/config/start-config.ts';
import type { PublishedState } from '../../../../shared/published-state.ts';
import { smallClusterConfig, smallState } from '../../../support/small-cluster.ts';

const published = smallState(7);

const INVALID: FoundConfig = {
  ok: false,
  problems: [
    { file: 'cluster.yaml', line: 3, column: 5, path: 'token', message: 'expected a token' },
    { file: 'cluster.yaml', line: 9, column: 1, path: '', message: 'expected a key' },
  ],
};
const INVALID_LINES = ['cluster.yaml:3:5: token: expected a token', 'cluster.yaml:9:1: expected a key'];

function file(change: (config: ClusterConfig) => unknown = () => undefined): FoundConfig & { ok: true } {
  const config = smallClusterConfig();
  change(config);
  return { ok: true, config };
}

const swapFrames = (config: ClusterConfig): void => {
  const [first, second] = config.groups as [GroupConfig, GroupConfig];
  [first.frames, second.frames] = [second.frames, first.frames];
};
const swapped = file(swapFrames);
const otherReplicas = file((config) => config.groups[0]?.replicas.reverse());
const moreToSay = file((config) => Object.assign(config.limits, { bodyBytesMax: 7 }));
const moved = file((config) => Object.assign(config.coordinator.servers[0] ?? {}, { listen: 'elsewhere:1' }));

const fromPublished = (code: 'CONFIG_INVALID' | 'CONFIG_MOVES_DATA', reasons: string[]): StartConfig => ({
  kind: 'published',
  config: published.config,
  code,
  reasons,
});

const CASES: readonly [what: string, file: FoundConfig, published: PublishedState | undefined, start: StartConfig][] = [
  [
    'an invalid file, nothing published: none, and the problems',
    INVALID,
    undefined,
    { kind: 'none', problems: INVALID.problems },
  ],
  [
    'an invalid file: the published config, and the problems as lines',
    INVALID,
    published,
    fromPublished('CONFIG_INVALID', INVALID_LINES),
  ],
  ['a valid file, nothing published: the file', swapped, undefined, { kind: 'file', config: swapped.config }],
  ['the file that was published: the file', file(), published, { kind: 'file', config: published.config }],
  ['other limits: the file', moreToSay, published, { kind: 'file', config: moreToSay.config }],
  ['other addresses: the file', moved, published, { kind: 'file', config: moved.config }],
  [
    'replicas in another order: the published config, and why',
    otherReplicas,
    published,
    fromPublished('CONFIG_MOVES_DATA', [
      'groups.g1.replicas: the order was g1r1, g1r2, the file says g1r2, g1r1; the first one leads every write: put it back as it was.',
    ]),
  ],
];

describe('a server starts, with', () => {
  for (const [what, file, state, start] of CASES) {
    test(what, () => assert.deepEqual(chooseStartConfig(file, state), start));
  }

  test('swapped frames: the published config, and a reason for each range of buckets', () => {
    const start = chooseStartConfig(swapped, published);
    assert.ok(start.kind === 'published');
    assert.deepEqual([start.config, start.code], [published.config, 'CONFIG_MOVES_DATA']);
    assert.match(start.reasons.join('\n'), /^frames: buckets 0-49 .*\nframes: buckets 50-99 /);
  });
});

describe('a published state', () => {
  test('found where it says that it is, however the place is written, stays as it is', () => {
    for (const dataFolder of ['data', './data', '/opt/trunkline/data'])
      assert.equal(stateAsFound(published, dataFolder, '/opt/trunkline'), published);
  });

  test('found elsewhere is of that place: a data folder that was moved is no reason to refuse the file', () => {
    const found = stateAsFound(published, 'restored', '/opt/trunkline');
    assert.deepEqual(found, { ...published, config: { ...published.config, dataFolder: 'restored' } });
    const edited = file((config) => Object.assign(config, { dataFolder: 'restored' }));
    assert.equal(chooseStartConfig(edited, found).kind, 'file');
  });
});
