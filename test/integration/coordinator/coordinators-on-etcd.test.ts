/** Two coordinators that share an etcd: one leads, the other takes over when it is killed, stopped, or asked to go. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { skipReason, TEST_PROGRAMS } from '../../../deploy/checks/test-programs.ts';
import { CoordinatorAdmin } from '../../../deploy/cli/coordinator-admin.ts';
import { type ClusterConfig, clusterSchema } from '../../../shared/config/cluster-schema.ts';
import { EtcdCluster } from '../../support/etcd.ts';
import { eventually } from '../../support/eventually.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { smallClusterConfig } from '../../support/small-cluster.ts';

const MAIN = new URL('../../../coordinator-server/main.ts', import.meta.url).pathname;
const skip = skipReason(TEST_PROGRAMS.etcd);
let folder: string;
let etcd: EtcdCluster;
let config: ClusterConfig;
let admin: CoordinatorAdmin;
const children = new Map<string, ChildProcess>();

before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'trunkline-on-etcd-'));
  etcd = await EtcdCluster.start(1);
  await writeFile(join(folder, 'token.txt'), 'a'.repeat(64));
  const servers: { id: string; listen: string; admin: string }[] = [];
  for (const id of ['c1', 'c2']) servers.push({ id, listen: await freeAddress(), admin: await freeAddress() });
  const small = smallClusterConfig();
  config = clusterSchema.parse({ ...small, coordinator: { servers, store: 'etcd', endpoints: etcd.endpoints } });
  await save();
  admin = new CoordinatorAdmin(config, folder);
  for (const { id } of servers) start(id);
});

after(async () => {
  if (skip !== false) return;
  for (const id of children.keys()) await end(id, 'SIGKILL');
  await etcd.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

function save(): Promise<void> {
  return writeFile(join(folder, 'cluster.yaml'), JSON.stringify(config));
}

function start(id: string): void {
  const args = [MAIN, '--config', join(folder, 'cluster.yaml'), '--id', id, '--root', folder, '--log-level', 'fatal'];
  children.set(id, spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
}

async function end(id: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const child = children.get(id);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGCONT');
  child.kill(signal);
  await exited;
}

interface Status {
  readonly leader: string;
  readonly published: { readonly epoch: number };
}

async function statusOf(id: string): Promise<Status | undefined> {
  const address = config.coordinator.servers.find((server) => server.id === id)?.admin ?? '';
  return (await admin.statusOf(address).catch(() => undefined)) as Status | undefined;
}

/** Resolves when all that run know the same leader, other than `not`, and published state. */
async function untilLed(running: readonly string[], not = ''): Promise<{ leader: string; epoch: number }> {
  return await eventually(
    `one leader of ${running.join(' and ')}`,
    async () => {
      const all = await Promise.all(running.map(statusOf));
      const [first] = all;
      const { leader = '', published } = first ?? {};
      if (leader === '' || leader === not || published === undefined || published.epoch === 0) return undefined;
      const agree = all.every((one) => one?.leader === leader && one.published.epoch === published.epoch);
      return agree ? { leader, epoch: published.epoch } : undefined;
    },
    15_000,
  );
}

const otherThan = (id: string): string => (id === 'c1' ? 'c2' : 'c1');

test('one leads, the other one passes on what it publishes, and orders find the leader', { skip }, async () => {
  const { epoch } = await untilLed(['c1', 'c2']);
  await admin.act('drain', { server: 'g1a', force: true });
  const after = await untilLed(['c1', 'c2']);
  assert.ok(after.epoch > epoch);
  await admin.act('ready', { server: 'g1a' });
});

test('the leader is killed: the other one leads, with everything, and the killed one follows when it is back', {
  skip,
}, async () => {
  const { leader, epoch } = await untilLed(['c1', 'c2']);
  await end(leader, 'SIGKILL');
  const next = await untilLed([otherThan(leader)], leader);
  assert.ok(next.epoch >= epoch);
  start(leader);
  assert.equal((await untilLed(['c1', 'c2'])).leader, next.leader);
});

test('the leader is asked to go: the other one leads at once', { skip }, async () => {
  const { leader } = await untilLed(['c1', 'c2']);
  await end(leader, 'SIGTERM');
  await untilLed([otherThan(leader)], leader);
  start(leader);
  await untilLed(['c1', 'c2']);
});

test('a leader that was stopped beyond its lease publishes nothing when it goes on, and follows', {
  skip,
}, async () => {
  const { leader } = await untilLed(['c1', 'c2']);
  const other = otherThan(leader);
  children.get(leader)?.kill('SIGSTOP');
  await untilLed([other], leader);
  await admin.actAt(config.coordinator.servers.find(({ id }) => id === other)?.admin ?? '', 'drain', {
    server: 'g1a',
    force: true,
  });
  const { epoch } = (await statusOf(other))?.published ?? { epoch: 0 };
  config = { ...config, limits: { ...config.limits, requestTimeoutMs: 9_999 } };
  children.get(leader)?.kill('SIGCONT');
  const settled = await untilLed(['c1', 'c2'], leader);
  assert.equal(settled.leader, other);
  assert.ok(settled.epoch >= epoch);
});
