/**
 * Wall clocks that are wrong by an hour, from the start or from one moment to the next, in one process after the other:
 * deadlines, leases, retries and the one effect of a write hang on none of them.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { DepositLoad } from '../support/deposit-load.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';
import { assertLedger } from '../support/sqlite-ledger.ts';
import { startTestCluster, type TestCluster, tempFolder } from '../support/test-cluster.ts';
import { missingFrom, untilWhole } from '../support/whole-cluster.ts';
import { WRONG_CLOCKS_FOLDER } from '../support/wrong-wall-clock.ts';

const HOUR_MS = 3_600_000;
const PRELOAD = pathToFileURL(path.resolve(import.meta.dirname, '../support/wrong-wall-clock.ts')).href;

/** One server of each kind, and of the app servers two of one group. */
const SERVERS = ['c1', 'i1', 'd1', 'g1a', 'g1b'];

const folder = tempFolder();
let running: TestCluster;
let load: DepositLoad;

before(async () => {
  process.env[WRONG_CLOCKS_FOLDER] = folder;
  setClock('g1a', HOUR_MS);
  setClock('d1', -HOUR_MS);
  running = await startTestCluster({
    preload: PRELOAD,
    change: (config) => config.services.push('test/support/services/faulty'),
  });
  load = new DepositLoad({ urls: running.urls, accounts: 16, clients: 4 });
  await untilWhole(running.config);
  await load.start();
});

after(async () => {
  await running.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Written aside and renamed: the server never reads half a number. */
function setClock(serverId: string, offsetMs: number): void {
  const file = path.join(folder, serverId);
  fs.writeFileSync(`${file}.new`, String(offsetMs));
  fs.renameSync(`${file}.new`, file);
}

function linesOf(serverId: string): { readonly time: string; readonly msg: string }[] {
  const lines = fs.readFileSync(running.cluster.logFile(serverId), 'utf8').trim().split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

/** What says that a server took another, or a lease, for lost. */
const ALARMS = /link lost|link closed|peer verdict|member (expired|joined|left)|replica|refused/;

function alarmsOf(serverId: string): string[] {
  return linesOf(serverId)
    .map(({ msg }) => msg)
    .filter((msg) => ALARMS.test(msg));
}

function allAlarms(): Record<string, readonly string[]> {
  return Object.fromEntries([...SERVERS, 'i2', 'd2', 'g2a', 'g2b'].map((serverId) => [serverId, alarmsOf(serverId)]));
}

async function untilServed(deposits: number): Promise<void> {
  const acknowledged = load.acknowledged;
  await eventually('deposits to go on', () => load.acknowledged >= acknowledged + deposits, 15_000);
}

async function send(path: string, init: RequestInit): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${running.urls[0]}${path}`, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('a cluster whose clocks differ by two hours comes up, and its logs show the wrong times', () => {
  const offBy = (serverId: string): number => Date.parse(linesOf(serverId)[0]?.time ?? '') - Date.now();
  assert.ok(offBy('g1a') > HOUR_MS / 2, `g1a is off by ${offBy('g1a')} ms`);
  assert.ok(offBy('d1') < -HOUR_MS / 2, `d1 is off by ${offBy('d1')} ms`);
});

test('a clock that is set in any server, forward and back, is noticed by nobody', async () => {
  const before = allAlarms();
  for (let round = 0; round < lengthOf(1, 50); round++) {
    for (const serverId of SERVERS) {
      for (const offsetMs of [HOUR_MS, -HOUR_MS, 0]) {
        setClock(serverId, offsetMs);
        await untilServed(lengthOf(6, 100));
        assert.deepEqual(await missingFrom(running.config), [], `${serverId} by ${offsetMs} ms`);
      }
    }
  }
  assert.deepEqual(allAlarms(), before);
  assert.deepEqual(Object.fromEntries(load.refusals), {});
});

test('leases outlive clocks that jump while they run', async () => {
  const alive = async (): Promise<string[]> => {
    const admin = running.config.coordinator.servers[0]?.admin;
    const status = (await (await fetch(`http://${admin}/-/status`)).json()) as {
      members: { serverId: string; state: string }[];
    };
    return status.members.filter(({ state }) => state === 'alive').map(({ serverId }) => serverId);
  };
  const members = await alive();
  assert.equal(members.length, 8);
  const untilMs = performance.now() + lengthOf(1_100, 10_000); // longer than a lease
  for (let hours = 1; performance.now() < untilMs; hours = -hours) {
    for (const serverId of ['c1', 'g1a', 'd1']) setClock(serverId, hours * HOUR_MS);
    await untilServed(5);
    assert.deepEqual(await alive(), members);
  }
});

test('a deadline passes when its time is up, and no sooner, whatever clocks do meanwhile', async () => {
  for (const offsetMs of [HOUR_MS, -HOUR_MS]) {
    for (const serverId of SERVERS) setClock(serverId, 0);
    const startedAt = performance.now();
    const asked = send('/faulty/alice/sleeps', { headers: { 'x-request-timeout-ms': '400' } });
    for (const serverId of SERVERS) setClock(serverId, offsetMs);
    const { status, body } = await asked;
    const elapsedMs = performance.now() - startedAt;
    assert.deepEqual([status, body['code']], [504, 'DEADLINE_EXCEEDED']);
    assert.ok(elapsedMs >= 300 && elapsedMs < 2_500, `${elapsedMs} ms`); // of the 3 s that the handler takes
  }
});

test('a write is done once, also when it comes again an hour earlier', async () => {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  await send('/accounts/clock', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{}' });
  const answers: unknown[] = [];
  for (const offsetMs of [HOUR_MS, -HOUR_MS, 0]) {
    for (const serverId of SERVERS) setClock(serverId, offsetMs);
    answers.push(await send('/accounts/clock/deposits', { method: 'POST', headers, body: '{"amount":5}' }));
  }
  assert.deepEqual(answers, [answers[0], answers[0], answers[0]]);
  const { body } = await send('/accounts/clock', {});
  assert.equal(body['balance'], 5);
});

test('with a server killed between wrong clocks its requests are sent again, and none is lost', async () => {
  setClock('g1a', HOUR_MS);
  setClock('d1', -HOUR_MS);
  const pid = running.cluster.pid('g1b');
  running.cluster.kill('g1b');
  await eventually('a new process of g1b', () => (running.cluster.pid('g1b') ?? pid) !== pid, 20_000);
  await untilWhole(running.config);
  await untilServed(20);
  assert.deepEqual(Object.fromEntries(load.refusals), {});
});

test('a coordinator that comes back an hour earlier still publishes above what it published', async () => {
  const epochs = async (): Promise<number[]> => {
    const { config } = running;
    const admins = [...config.interface.servers, ...config.dispatcher.servers].map(({ admin }) => admin);
    const texts = admins.map(async (admin) => (await fetch(`http://${admin}/metrics`)).text());
    return (await Promise.all(texts)).map((text) => Number(/^trunkline_state_epoch\{.*\} (\d+)/m.exec(text)?.[1]));
  };
  const [epoch = 0] = await epochs();
  setClock('c1', -HOUR_MS);
  const pid = running.cluster.pid('c1');
  running.cluster.kill('c1');
  await eventually('a new process of c1', () => (running.cluster.pid('c1') ?? pid) !== pid, 20_000);
  await untilWhole(running.config);
  const { configFile } = running.cluster;
  const config = JSON.parse(fs.readFileSync(configFile, 'utf8')) as ClusterConfig;
  config.limits.requestTimeoutMs -= 1;
  fs.writeFileSync(configFile, JSON.stringify(config));
  await eventually(
    'every server to act on the change',
    async () => (await epochs()).every((now) => now > epoch),
    10_000,
  );
});

test('the logs of all replicas are equal, and every balance is what the clients were told', async (context) => {
  await load.stop();
  context.diagnostic(`${load.acknowledged} deposits; slowest ${Math.round(load.slowestMs)} ms`);
  load.expected.set('clock', 5);
  load.entries.set('clock', 1);
  await running.cluster.stop();
  assertLedger(running.config, load.expected, load.entries);
});
