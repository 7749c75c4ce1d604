/** `trunkline up --mariadb` as a person uses it: real MariaDB servers, a real cluster on them, kills and a Ctrl-C. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findProgram } from '../../../deploy/checks/peer-programs.ts';
import { ensureMariadbDataFolder } from '../../../deploy/local-cluster/mariadb-data-folder.ts';
import { startMariadbSet } from '../../../deploy/local-cluster/mariadb-set.ts';
import { systemClock } from '../../../shared/clock.ts';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import { eventually } from '../../support/eventually.ts';
import { freePorts } from '../../support/free-ports.ts';
import { mariadbSkipReason } from '../../support/mariadb.ts';
import { isAlive } from '../../support/stand-in/stand-in-cluster.ts';
import { tempFolder, testConfig } from '../../support/test-cluster.ts';

const CLI = path.resolve(import.meta.dirname, '../../../deploy/cli.ts');
const READY_MS = 60_000;
const skip = mariadbSkipReason();

let folder = '';
let config: ClusterConfig;
let up: ChildProcess | undefined;
let output = '';

/** One group of the cluster that ships for it: two app servers, two MariaDB servers. */
async function smallConfig(): Promise<ClusterConfig> {
  const small = await testConfig(path.join(folder, 'data'), 'local-mariadb');
  small.groups.length = 1;
  const [group] = small.groups;
  assert.ok(group !== undefined);
  group.frames = ['0-99'];
  const ports = await freePorts(group.replicas.length);
  for (const replica of group.replicas) {
    assert.ok(replica.kind === 'mysql' && replica.reader !== undefined);
    replica.address = `127.0.0.1:${ports.pop()}`;
    replica.writer.password = { file: path.join(folder, 'secrets/writer') };
    replica.reader.password = { file: path.join(folder, 'secrets/reader') };
  }
  return small;
}

function start(): void {
  output = '';
  const args = [CLI, 'up', '--mariadb', '--config', 'cluster.yaml'];
  up = spawn(process.execPath, [...process.execArgv, ...args], { cwd: folder });
  for (const stream of [up.stdout, up.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
}

/** Of MariaDB servers, from the pid files they keep. */
function databasePids(): number[] {
  const pids = config.groups.flatMap(({ id, replicas }) =>
    replicas.map((replica) => path.join(folder, 'data', id, replica.id, 'data/mariadb.pid')),
  );
  return pids.filter((file) => fs.existsSync(file)).map((file) => Number(fs.readFileSync(file, 'utf8')));
}

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; balance?: number }> {
  const response = await fetch(`http://${config.interface.servers[0]?.listen}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { balance } = (await response.json()) as { balance?: number };
  return { status: response.status, ...(balance === undefined ? {} : { balance }) };
}

describe('up --mariadb', { skip }, () => {
  before(async () => {
    folder = tempFolder();
    config = await smallConfig();
    fs.writeFileSync(path.join(folder, 'cluster.yaml'), JSON.stringify(config));
    start();
    await eventually('it is ready', () => /ready after/.test(output) && /Stop: Ctrl-C/.test(output), READY_MS);
  });

  after(async () => {
    if (up?.exitCode === null && up.signalCode === null) {
      up.kill('SIGTERM');
      await once(up, 'close');
    }
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test('starts a MariaDB for each replica, shows it, and the same services run on it', async () => {
    for (const replica of config.groups[0]?.replicas ?? [])
      assert.match(output, new RegExp(`^ {2}${replica.id} +mariadb +g1 +127\\.0\\.0\\.1:\\d+ +up$`, 'm'));
    assert.equal((await ask('PUT', '/accounts/alice', {})).status, 201);
    assert.deepEqual(await ask('POST', '/accounts/alice/deposits', { amount: 5 }), { status: 201, balance: 5 });
  });

  test('secrets and accounts are for their owner only', () => {
    const files = ['secrets/writer', 'secrets/reader', 'data/g1/g1r1/accounts.sql'];
    for (const file of files) assert.equal(fs.statSync(path.join(folder, file)).mode & 0o077, 0, file);
    assert.doesNotMatch(output, new RegExp(fs.readFileSync(path.join(folder, 'secrets/writer'), 'utf8').trim()));
  });

  test('one that is killed is started again, with what it held', async () => {
    const [pid = 0] = databasePids();
    process.kill(pid, 'SIGKILL');
    await eventually('it is said', () => /MariaDB g1r1 died; starting it again/.test(output), READY_MS);
    const deposit = async (): Promise<boolean> =>
      (await ask('POST', '/accounts/alice/deposits', { amount: 1 })).status === 201;
    await eventually('deposits go on', deposit, READY_MS);
    assert.equal((await ask('GET', '/accounts/alice')).status, 200);
  });

  test('Ctrl-C stops servers and databases; the next start has their data', async () => {
    const { balance } = await ask('GET', '/accounts/alice');
    const pids = databasePids();
    assert.ok(pids.length === 2 && pids.every(isAlive));
    up?.kill('SIGINT');
    assert.deepEqual(await once(up as ChildProcess, 'close'), [0, null]);
    assert.deepEqual(pids.filter(isAlive), []);
    start();
    await eventually('it is ready again', () => /ready after/.test(output), READY_MS);
    assert.deepEqual(await ask('GET', '/accounts/alice'), { status: 200, balance });
  });

  test('when the command itself is killed, no MariaDB is left', async () => {
    const pids = databasePids();
    up?.kill('SIGKILL');
    await eventually('they are gone', () => pids.every((pid) => !isAlive(pid)), READY_MS);
  });
});

describe('a set of MariaDB servers', { skip }, () => {
  test('a config without MySQL replicas on this machine is refused with the one that has them', async () => {
    const config = await testConfig(path.join(tempFolder(), 'data'));
    const set = startMariadbSet({ config, rootFolder: '/', clock: systemClock, say: () => {} });
    await assert.rejects(set, { code: 'USAGE', message: /local-mariadb\.yaml/ });
  });

  test('a data folder is made once, and one that is there is left alone', async () => {
    const place = tempFolder();
    const data = path.join(place, 'data');
    fs.mkdirSync(data);
    await ensureMariadbDataFolder('no such program', data);
    assert.deepEqual(fs.readdirSync(data), []);
    fs.rmSync(place, { recursive: true });
  });

  test('a data folder that cannot be made says what MariaDB said, and leaves nothing', async () => {
    const place = tempFolder();
    const failing = path.join(place, 'mariadbd');
    fs.writeFileSync(failing, '#!/bin/sh\necho "no room" >&2\nexit 1\n', { mode: 0o755 });
    await assert.rejects(ensureMariadbDataFolder(failing, path.join(place, 'data')), /no room/);
    assert.deepEqual(fs.readdirSync(place), ['mariadbd']);
    assert.ok(findProgram('mariadbd') !== undefined);
    fs.rmSync(place, { recursive: true });
  });
});
