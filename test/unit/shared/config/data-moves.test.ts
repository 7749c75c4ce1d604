import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ClusterConfig, GroupConfig, MysqlReplicaConfig } from '../../../../shared/config/cluster-schema.ts';
import { type MappedConfig, whatMovesData } from '../../../../shared/config/data-moves.ts';
import { buildBucketMap, sameOwners } from '../../../../shared/routing/bucket-map.ts';
import { smallBucketMap, smallClusterConfig } from '../../../support/small-cluster.ts';

const accepted: MappedConfig = { config: smallClusterConfig(), bucketMap: smallBucketMap(5) };

function changed(change: (config: ClusterConfig) => void, before = accepted): MappedConfig {
  const config = structuredClone(before.config);
  change(config);
  return { config, bucketMap: buildBucketMap(config, 6) };
}

function reasonsAfter(change: (config: ClusterConfig) => void, before = accepted): string {
  return whatMovesData(before, changed(change, before)).join('\n');
}

function first(config: ClusterConfig): GroupConfig {
  return config.groups[0] as GroupConfig;
}

function second(config: ClusterConfig): GroupConfig {
  return config.groups[1] as GroupConfig;
}

/** What is said of a change: nothing, or a reason. */
type Verdict = 'free' | RegExp;
type Change<Shape> = (shape: Shape, config: ClusterConfig) => void;
type Cases<Shape> = { readonly [Field in keyof Required<Shape>]: readonly [Verdict, Change<Shape>] };

const free: Verdict = 'free';

/** One change of every field; the compiler asks for the cell of a field that is added. */
const CLUSTER_CASES: Cases<ClusterConfig> = {
  version: [free, (config) => Object.assign(config, { version: 2 })],
  cluster: [/cluster: was small, the file says other/, (config) => Object.assign(config, { cluster: 'other' })],
  token: [free, (config) => Object.assign(config, { token: { env: 'TOKEN' } })],
  dataFolder: [
    /dataFolder: was data, the file says elsewhere/,
    (config) => Object.assign(config, { dataFolder: 'elsewhere' }),
  ],
  coordinator: [free, (config) => Object.assign(config.coordinator, { leaseTtlMs: 5_000 })],
  interface: [free, (config) => Object.assign(config.interface, { dispatcherPolicy: 'random' })],
  dispatcher: [free, (config) => config.dispatcher.servers.push({ id: 'd2', listen: 'h:1', admin: 'h:2' })],
  hash: [
    /hash.kind: was jdk-string, the file says jdk-utf8/,
    (config) => Object.assign(config.hash, { kind: 'jdk-utf8' }),
  ],
  accountKey: [/accountKey.sources/, (config) => config.accountKey.sources.reverse()],
  frames: [
    /frames: buckets 40-49 belong to g1, the file gives them to g2/,
    (config) => {
      first(config).frames = ['0-39'];
      second(config).frames = ['40-99'];
    },
  ],
  groups: [
    /groups: g2 is missing/,
    (config) => Object.assign(config, { groups: [{ ...first(config), frames: ['0-99'] }] }),
  ],
  services: [free, (config) => config.services.push('services/more')],
  queues: [free, (config) => Object.assign(config.queues['interactive'] ?? {}, { weight: 3 })],
  limits: [free, (config) => Object.assign(config.limits, { bodyBytesMax: 7 })],
  health: [free, (config) => Object.assign(config.health, { pongDeadMs: 9_000 })],
  retries: [free, (config) => Object.assign(config.retries, { attemptsMax: 2 })],
};

const GROUP_CASES: Cases<GroupConfig> = {
  id: [/groups: g1 is missing/, (group) => Object.assign(group, { id: 'g9' })],
  frames: [
    /frames: buckets 50-59 belong to g2, the file gives them to g1/,
    (group, config) => {
      group.frames = ['0-59'];
      second(config).frames = ['60-99'];
    },
  ],
  policy: [free, (group) => Object.assign(group, { policy: 'least-loaded' })],
  appServers: [free, (group) => group.appServers.pop()],
  replicas: [
    /the order was g1r1, g1r2, the file says g1r2, g1r1; the first one leads/,
    (group) => group.replicas.reverse(),
  ],
};

const REPLICA_CASES: Cases<MysqlReplicaConfig> = {
  id: [/r1 is missing[\s\S]*r9 is new/, (replica) => Object.assign(replica, { id: 'r9' })],
  kind: [
    /was mysql db:3306\/trunk, the file says sqlite file/,
    (replica) => Object.assign(replica, { kind: 'sqlite', file: 'x.db' }),
  ],
  address: [
    /was mysql db:3306\/trunk, the file says mysql db2:3306/,
    (replica) => Object.assign(replica, { address: 'db2:3306' }),
  ],
  database: [/the file says mysql db:3306\/other/, (replica) => Object.assign(replica, { database: 'other' })],
  writer: [free, (replica) => Object.assign(replica, { writer: { user: 'other', password: { env: 'P' } } })],
  reader: [free, (replica) => Object.assign(replica, { reader: { user: 'other', password: { env: 'P' } } })],
  writerConnections: [free, (replica) => Object.assign(replica, { writerConnections: 9 })],
  readerConnections: [free, (replica) => Object.assign(replica, { readerConnections: 9 })],
};

function check<Shape>(
  what: string,
  cases: Cases<Shape>,
  before: MappedConfig,
  pick: (config: ClusterConfig) => Shape,
): void {
  for (const [field, [verdict, change]] of Object.entries(cases) as [string, readonly [Verdict, Change<Shape>]][]) {
    test(`a change of ${what}.${field} ${verdict === 'free' ? 'moves no data' : 'moves data, and is named'}`, () => {
      const reasons = reasonsAfter((config) => change(pick(config), config), before);
      if (verdict === 'free') assert.equal(reasons, '');
      else assert.match(reasons, verdict);
    });
  }
}

const mysqlReplica: MysqlReplicaConfig = {
  id: 'r1',
  kind: 'mysql',
  address: 'db:3306',
  database: 'trunk',
  writer: { user: 'w', password: { env: 'W' } },
  writerConnections: 4,
  readerConnections: 8,
};
const onMysql: MappedConfig = { ...accepted, config: { ...smallClusterConfig() } };
Object.assign(first(onMysql.config), { replicas: [mysqlReplica] });

check('cluster', CLUSTER_CASES, accepted, (config) => config);
check('group', GROUP_CASES, accepted, first);
check('replica', REPLICA_CASES, onMysql, (config) => first(config).replicas[0] as MysqlReplicaConfig);

test('every difference is named, not only the first', () => {
  const reasons = reasonsAfter((config) => {
    config.hash.buckets = 200;
    second(config).frames = ['50-199'];
    first(config).replicas.pop();
  });
  assert.match(reasons, /hash.buckets: was 100, the file says 200/);
  assert.match(reasons, /groups.g1.replicas: g1r2 is missing/);
});

test('a new replica moves data: it holds nothing yet', () => {
  const add = (config: ClusterConfig) => first(config).replicas.push({ id: 'g1r3', kind: 'sqlite', file: 'g1/r3.db' });
  assert.match(reasonsAfter(add), /g1r3 is new and holds nothing/);
});

test('another file of a replica is named with both paths', () => {
  const move = (config: ClusterConfig) => Object.assign(first(config).replicas[0] ?? {}, { file: 'moved.db' });
  assert.match(reasonsAfter(move), /g1r1: was sqlite file g1\/r1.db, the file says sqlite file moved.db/);
});

test('groups listed in another order move nothing', () => {
  assert.equal(
    reasonsAfter((config) => config.groups.reverse()),
    '',
  );
});

test('frames move data exactly when a bucket changes its owner', () => {
  const run = (cut: number, swapped: boolean) => {
    const next = changed((config) => {
      const [low, high] = [`0-${cut - 1}`, `${cut}-99`];
      first(config).frames = [swapped ? high : low];
      second(config).frames = [swapped ? low : high];
    });
    assert.equal(whatMovesData(accepted, next).length === 0, sameOwners(next.bucketMap, accepted.bucketMap));
  };
  fc.assert(fc.property(fc.integer({ min: 1, max: 99 }), fc.boolean(), run));
});
