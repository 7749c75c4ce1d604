import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AcceptedConfig,
  type ConfigDecision,
  decideConfig,
} from '../../../coordinator-server/config-publisher.ts';
import type { ClusterConfig, GroupConfig, MysqlReplicaConfig } from '../../../shared/config/cluster-schema.ts';
import { sameOwners } from '../../../shared/routing/bucket-map.ts';
import { smallBucketMap, smallClusterConfig } from '../../support/small-cluster.ts';

const accepted: AcceptedConfig = { config: smallClusterConfig(), bucketMap: smallBucketMap(5) };

function decideAfter(change: (config: ClusterConfig) => void, before = accepted): ConfigDecision {
  const next = structuredClone(before.config);
  change(next);
  return decideConfig(before, next, 1);
}

function reasonsOf(decision: ConfigDecision): string {
  assert.ok(decision.kind === 'refuse', `expected a refusal, got ${decision.kind}`);
  return decision.reasons.join('\n');
}

function first(config: ClusterConfig): GroupConfig {
  return config.groups[0] as GroupConfig;
}

type Case = 'publish' | RegExp;
type Cases<Shape> = { readonly [Field in keyof Required<Shape>]: readonly [Case, (shape: Shape) => void] };

const free: Case = 'publish';

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
      (config.groups[1] as GroupConfig).frames = ['40-99'];
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
  frames: [/every bucket|cover|bucket/, (group) => Object.assign(group, { frames: ['0-48'] })],
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
  before: AcceptedConfig,
  pick: (config: ClusterConfig) => Shape,
): void {
  for (const [field, [verdict, change]] of Object.entries(cases) as [
    string,
    readonly [Case, (shape: Shape) => void],
  ][]) {
    test(`a change of ${what}.${field} is ${verdict === 'publish' ? 'published' : 'refused by name'}`, () => {
      const decision = decideAfter((config) => change(pick(config)), before);
      if (verdict === 'publish') assert.equal(decision.kind, 'publish');
      else assert.match(reasonsOf(decision), verdict);
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
const onMysql: AcceptedConfig = { ...accepted, config: { ...smallClusterConfig() } };
Object.assign(first(onMysql.config), { replicas: [mysqlReplica] });

check('cluster', CLUSTER_CASES, accepted, (config) => config);
check('group', GROUP_CASES, accepted, first);
check('replica', REPLICA_CASES, onMysql, (config) => first(config).replicas[0] as MysqlReplicaConfig);

test('a born cluster takes the file as it is, with the bucket map at the epoch of birth', () => {
  const decision = decideConfig(undefined, smallClusterConfig(), 77);
  assert.ok(decision.kind === 'publish');
  assert.deepEqual(decision.accepted.bucketMap, smallBucketMap(77));
});

test('the same config is nothing new, also after a way through JSON', () => {
  assert.equal(decideConfig(accepted, JSON.parse(JSON.stringify(accepted.config)), 1).kind, 'nothing');
});

test('a refusal names every difference, not only the first', () => {
  const reasons = reasonsOf(
    decideAfter((config) => {
      config.hash.buckets = 200;
      first(config).frames = ['0-49'];
      (config.groups[1] as GroupConfig).frames = ['50-199'];
      first(config).replicas.pop();
    }),
  );
  assert.match(reasons, /hash.buckets: was 100, the file says 200/);
  assert.match(reasons, /groups.g1.replicas: g1r2 is missing/);
});

test('a new replica is refused: it holds nothing yet', () => {
  const add = (config: ClusterConfig) => first(config).replicas.push({ id: 'g1r3', kind: 'sqlite', file: 'g1/r3.db' });
  assert.match(reasonsOf(decideAfter(add)), /g1r3 is new and holds nothing/);
});

test('another file of a replica is refused with both paths', () => {
  const move = (config: ClusterConfig) => Object.assign(first(config).replicas[0] ?? {}, { file: 'moved.db' });
  assert.match(reasonsOf(decideAfter(move)), /g1r1: was sqlite file g1\/r1.db, the file says sqlite file moved.db/);
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
