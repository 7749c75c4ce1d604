/** `trunkline drain`, `maint` and `ready` as an operator uses them on a running cluster, and what they say when they cannot. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';

const CLI = path.resolve(import.meta.dirname, '../../../deploy/cli.ts');

let running: TestCluster;

before(async () => {
  running = await startTestCluster();
  await untilWhole(running.config);
});

after(async () => {
  await running.close();
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function trunkline(args: readonly string[], configFile = running.cluster.configFile): Promise<Ran> {
  return new Promise((resolve) => {
    const argv = [...process.execArgv.filter((arg) => !arg.startsWith('--test')), CLI, ...args, '--config', configFile];
    const child = execFile(process.execPath, argv, (_error, out, err) => resolve({ code: child.exitCode, out, err }));
  });
}

/** Where `count` requests of one account were served. */
async function servedBy(count: number, url = running.urls[0]): Promise<Set<string>> {
  const servers = new Set<string>();
  for (let turn = 0; turn < count; turn++) {
    const response = await fetch(`${url}/echo?account=alice`);
    await response.text();
    assert.equal(response.status, 200);
    servers.add(response.headers.get('x-served-by') ?? '');
  }
  return servers;
}

test('an app server in drain gets nothing new, also after a restart, until it is put back', async () => {
  const drained = await trunkline(['drain', 'g1a', '--wait', '--timeout', '20']);
  assert.match(
    drained.out,
    /^g1a is in drain: it gets no new requests\. Back: .*\ng1a is idle after \d+\.\d s: nothing is in flight\n$/,
  );
  assert.equal(drained.code, 0);
  assert.deepEqual(await servedBy(20), new Set(['g1b']));
  const pid = running.cluster.pid('g1a');
  running.cluster.kill('g1a');
  await eventually('it runs again', () => (running.cluster.pid('g1a') ?? pid) !== pid, 20_000);
  const again = await trunkline(['drain', 'g1a', '--wait', '--timeout', '20']);
  assert.match(again.out, /^g1a is in drain, as before/);
  assert.deepEqual(await servedBy(20), new Set(['g1b']));
  const last = await trunkline(['drain', 'g1b']);
  assert.equal(last.code, 1);
  assert.match(last.err, /g1b is the last app server of group g1 .*--force/);
  const back = await trunkline(['ready', 'g1a', '--wait', '--timeout', '20']);
  assert.deepEqual([back.code, /at work/.test(back.out)], [0, true]);
  assert.deepEqual(await servedBy(20), new Set(['g1a', 'g1b']));
});

test('in maintenance it has no links at all, and its peers say who took it out', async () => {
  assert.equal((await trunkline(['maint', 'd1', '--wait', '--timeout', '20'])).code, 0);
  await servedBy(20);
  const admin = running.config.interface.servers[0]?.admin;
  const status = (await (await fetch(`http://${admin}/-/status`)).json()) as {
    dispatchers: { id: string; state: string; reason: string }[];
  };
  const { state, reason } = status.dispatchers.find(({ id }) => id === 'd1') ?? {};
  assert.deepEqual([state, /an operator took it out/.test(reason ?? '')], ['maint', true]);
  assert.equal((await trunkline(['ready', 'd1', '--wait', '--timeout', '20'])).code, 0);
});

test('an interface server in drain says so to a load balancer, and serves whoever still comes', async () => {
  const url = running.urls[1] as string;
  assert.equal((await trunkline(['drain', 'i2', '--wait', '--timeout', '20'])).code, 0);
  const ready = await fetch(`${url}/-/ready`);
  const { status, reasons } = (await ready.json()) as { status: string; reasons: string[] };
  assert.deepEqual([ready.status, status], [503, 'drain']);
  assert.match(reasons[0] ?? '', /trunkline ready i2/);
  const served = await fetch(`${url}/echo?account=alice`);
  await served.text();
  assert.deepEqual([served.status, served.headers.get('connection')], [200, 'close']);
  assert.equal((await trunkline(['maint', 'i2', '--wait', '--timeout', '20'])).code, 0);
  const refused = await fetch(`${url}/echo?account=alice`);
  assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [503, 'DRAINING']);
  assert.equal((await trunkline(['ready', 'i2', '--wait', '--timeout', '20'])).code, 0);
  assert.equal((await fetch(`${url}/-/ready`)).status, 200);
});

function ask(address: string, agent: http.Agent): Promise<{ status: number | undefined; connection: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(`http://${address}/echo?account=alice`, { agent }, (response) => {
      const { statusCode: status, headers } = response;
      response.resume().on('end', () => resolve({ status, connection: headers.connection ?? 'keep-alive' }));
    });
    request.on('error', reject);
  });
}

test('an idle client that asks once more as its interface server stops is answered, and told to go', async () => {
  const { cluster, config } = running;
  const listen = config.interface.servers.find(({ id }) => id === 'i1')?.listen ?? '';
  const pid = cluster.pid('i1');
  const idle = new http.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    assert.deepEqual(await ask(listen, idle), { status: 200, connection: 'keep-alive' });
    cluster.kill('i1', 'SIGTERM');
    const isRefused = (): Promise<boolean> =>
      ask(listen, new http.Agent()).then(
        () => false,
        () => true,
      );
    await eventually('new connections to be refused', isRefused, 5_000);
    assert.deepEqual(await ask(listen, idle), { status: 200, connection: 'close' });
  } finally {
    idle.destroy();
  }
  await eventually('it runs again', () => (cluster.pid('i1') ?? pid) !== pid, 20_000);
  await untilWhole(config);
});

for (const [args, code, words] of [
  [['drain', 'g9'], 2, /g1a.*, got g9/],
  [['ready', 'c1'], 2, /coordinator c1: stop it with SIGTERM/],
  [['drain', 'g1a', '--timeout', 'soon'], 2, /--timeout: expected seconds/],
  [['drain'], 2, /missing required argument 'server'/],
] as const) {
  test(`what cannot be done is said, with its exit code: ${args.join(' ')}`, async () => {
    const ran = await trunkline(args);
    assert.equal(ran.code, code);
    assert.match(ran.err, words);
  });
}

test('without a running cluster, and with another cluster’s token, it says so', async () => {
  const other = structuredClone(running.config);
  const file = path.join(running.dataFolder, 'other.json');
  fs.writeFileSync(path.join(running.dataFolder, 'other-token'), 'another token\n');
  other.token = { file: path.join(running.dataFolder, 'other-token') };
  fs.writeFileSync(file, JSON.stringify(other));
  const refused = await trunkline(['drain', 'g1a'], file);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /token of this cluster/);
  await running.cluster.stop();
  const down = await trunkline(['drain', 'g1a']);
  assert.equal(down.code, 1);
  assert.match(down.err, /no coordinator answers \(127\.0\.0\.1:\d+: ECONNREFUSED\)\. Does the cluster run/);
});
