/** A coordinator and its checkpointer as processes: following, snapshots, promotion, and the old one's return. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { coordinatorsStatus, orderSnapshot, promote } from '../../../deploy/cli/coordinator.ts';
import { CoordinatorAdmin } from '../../../deploy/cli/coordinator-admin.ts';
import type { ClusterConfig, ServerConfig } from '../../../shared/config/cluster-schema.ts';
import { readClusterConfigFile } from '../../../shared/config/load-cluster-config.ts';
import { eventually } from '../../support/eventually.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { smallClusterYaml } from '../../support/small-cluster.ts';

const MAIN = new URL('../../../coordinator-server/main.ts', import.meta.url).pathname;

let folder: string;
let configFile: string;
let config: ClusterConfig;
let admin: CoordinatorAdmin;
let coordinator: ServerConfig;
let checkpointer: ServerConfig;
let children: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-checkpointer-'));
  configFile = join(folder, 'cluster.yaml');
  children = [];
  await writeFile(join(folder, 'token.txt'), 'a'.repeat(64));
  const addresses = await Promise.all([1, 2, 3, 4].map(() => freeAddress()));
  const [listen = '', coordinatorAdmin = '', standbyListen = '', standbyAdmin = ''] = addresses;
  const yaml = smallClusterYaml({ listen, admin: coordinatorAdmin });
  const standby = `  checkpointer: { id: k1, listen: "${standbyListen}", admin: "${standbyAdmin}" }\n`;
  await writeFile(configFile, yaml.replace('interface:\n', `${standby}interface:\n`));
  const result = await readClusterConfigFile(configFile);
  assert.ok(result.ok, JSON.stringify(result));
  config = result.config;
  admin = new CoordinatorAdmin(config, folder);
  coordinator = config.coordinator.servers[0] as ServerConfig;
  checkpointer = config.coordinator.checkpointer as ServerConfig;
});

afterEach(async () => {
  for (const child of children) await kill(child);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** @returns its process, and what it wrote to standard error in the end */
function start(id: string): { child: ChildProcess; ended: Promise<{ exitCode: number | null; errors: string }> } {
  const args = [MAIN, '--config', configFile, '--id', id, '--root', folder, '--log-level', 'fatal'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  children.push(child);
  const ended = new Promise<{ exitCode: number | null; errors: string }>((resolve) =>
    child.once('close', (exitCode) => resolve({ exitCode, errors })),
  );
  return { child, ended };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

interface Status {
  readonly state?: { readonly kind: string; readonly behindBy?: number };
  readonly published?: { readonly epoch: number };
  readonly term: number;
  readonly nodes?: number;
  readonly park?: { readonly nodes: number; readonly details: { readonly lastSequence: number } };
  readonly journal?: { readonly lastSequence: number };
}

async function status({ admin: address }: ServerConfig): Promise<Status | undefined> {
  return (await admin.statusOf(address).catch(() => undefined)) as Status | undefined;
}

function untilFollowing(): Promise<Status> {
  return eventually('the checkpointer to follow', async () => {
    const now = await status(checkpointer);
    const { lastSequence = Number.POSITIVE_INFINITY } = (await status(coordinator))?.park?.details ?? {};
    return now?.state?.kind === 'following' && (now.journal?.lastSequence ?? 0) >= lastSequence ? now : undefined;
  });
}

test('it follows, makes the snapshots, and the coordinator drops what they show', async () => {
  start('c1');
  start('k1');
  await untilFollowing();
  const parkFolder = join(folder, 'data', 'c1', 'park');
  const before = fs
    .readdirSync(parkFolder)
    .filter((name) => name.endsWith('.snapshot'))
    .toSorted();
  await admin.act('drain', { server: 'g1a', force: true });
  await untilFollowing();
  assert.match(await orderSnapshot([checkpointer, coordinator], admin), /^k1 has made a snapshot of \d+ records$/);
  const after = fs
    .readdirSync(parkFolder)
    .filter((name) => name.endsWith('.snapshot'))
    .toSorted();
  assert.notDeepEqual(after, before);
  const { lines, exitCode } = await coordinatorsStatus([coordinator, checkpointer], admin);
  assert.equal(exitCode, 0);
  assert.match(lines[0] ?? '', /^c1 .* leads; journal of term \d+, revision \d+/);
  assert.match(lines[1] ?? '', /^k1 .* checkpointer of term \d+, \d+ nodes; follows, 0 records behind$/);
});

test('promoted, it serves what the lost coordinator had, and the old one is refused when it returns', async () => {
  const lost = start('c1');
  start('k1');
  await untilFollowing();
  await assert.rejects(promote([coordinator], checkpointer, admin, false), { code: 'USAGE', detail: /c1 answers/ });
  await admin.act('drain', { server: 'g1a', force: true });
  await untilFollowing();
  const { published, term } = (await status(coordinator)) as Status;
  await kill(lost.child);
  assert.match(await promote([coordinator], checkpointer, admin, false), /^k1 is the coordinator, in term \d+/);
  const now = await eventually('the new coordinator', async () => {
    const answer = await status(checkpointer);
    return answer?.published === undefined ? undefined : answer;
  });
  assert.equal(now.term, term + 1);
  assert.ok((now.published?.epoch ?? 0) > (published?.epoch ?? 0));
  const drained = (await admin.act('service', { server: 'g1a' })) as { state: string };
  assert.equal(drained.state, 'drain');
  const returned = await start('c1').ended;
  assert.equal(returned.exitCode, 2);
  assert.match(returned.errors, /this one was replaced .*k1 was promoted/);
  assert.match((await start('c1').ended).errors, /this one was replaced/); // the mark is enough
});

test('the coordinator works without it, and it catches up when it returns', async () => {
  start('c1');
  const first = start('k1');
  await untilFollowing();
  await kill(first.child);
  await admin.act('drain', { server: 'g1a', force: true });
  await admin.act('ready', { server: 'g1a', force: true });
  start('k1');
  const { journal } = await untilFollowing();
  assert.ok((journal?.lastSequence ?? 0) > 0);
});

test('a checkpointer that never followed is not promoted, and is no coordinator to anybody', async () => {
  start('k1');
  await eventually('the checkpointer', async () => await status(checkpointer));
  await assert.rejects(promote([coordinator], checkpointer, admin, false), {
    code: 'NOT_READY',
    detail: /holds nothing/,
  });
  await assert.rejects(admin.act('drain', { server: 'g1a' }), { code: 'NOT_LEADER', detail: /promote/ });
});
