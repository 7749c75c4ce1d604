import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type LocalCluster, startLocalCluster } from '../../../deploy/local-cluster/local-cluster.ts';
import { startSingleProcessCluster } from '../../../deploy/local-cluster/single-process-cluster.ts';
import { STOP_MS_MAX } from '../../../deploy/local-cluster/supervisor-state.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { PublishedStateFile, publishedStatePath } from '../../../shared/published-state-file.ts';
import { buildBucketMap } from '../../../shared/routing/bucket-map.ts';
import { splitAddress } from '../../../shared/web-server.ts';
import { eventually } from '../../support/eventually.ts';
import { isAlive, standInConfig, standInOptions, standInProgram } from '../../support/stand-in/stand-in-cluster.ts';
import { tempFolder } from '../../support/test-cluster.ts';

const PARENT = path.join(import.meta.dirname, '../../support/stand-in/parent.ts');

let folder = '';
let cluster: LocalCluster | undefined;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(async () => {
  delete process.env['STAND_IN_BEHAVIOURS'];
  await cluster?.stopNow();
  cluster = undefined;
  fs.rmSync(folder, { recursive: true });
});

/** @param behaviours server id → how its stand-in misbehaves */
async function start(behaviours: Record<string, string> = {}): Promise<{ cluster: LocalCluster; said: string[] }> {
  process.env['STAND_IN_BEHAVIOURS'] = JSON.stringify(behaviours);
  const said: string[] = [];
  cluster = await startLocalCluster({ ...(await standInOptions(folder)), say: (line) => said.push(line) });
  return { cluster, said };
}

const pidsOf = (of: LocalCluster): number[] =>
  of.servers().flatMap((server) => (server.pid === undefined ? [] : [server.pid]));
const isUp = (of: LocalCluster): boolean => of.servers().every((server) => server.phase === 'up');

describe('a local cluster', () => {
  test('runs every server as a process with a log of its own, and stops them all within 3 s', async () => {
    const { cluster } = await start();
    await cluster.waitReady();
    await eventually('all listen', () => isUp(cluster));
    const pids = pidsOf(cluster);
    assert.equal(pids.length, 4);
    for (const id of ['c1', 'g1a', 'd1', 'i1'])
      assert.match(fs.readFileSync(cluster.logFile(id), 'utf8'), /"listening"/);
    const stopBeganMs = performance.now();
    assert.equal(await cluster.stop(), 0);
    assert.ok(performance.now() - stopBeganMs < 3_000);
    assert.deepEqual(pids.filter(isAlive), []);
  });

  test('restarts a server that was killed, and leaves the others alone', async () => {
    const { cluster, said } = await start();
    await eventually('all listen', () => isUp(cluster));
    const before = new Map(cluster.servers().map((server) => [server.serverId, server.pid]));
    assert.equal(cluster.kill('d1'), true);
    await eventually('d1 is up again', () => isUp(cluster) && cluster.pid('d1') !== before.get('d1'));
    for (const id of ['c1', 'g1a', 'i1']) assert.equal(cluster.pid(id), before.get(id), id);
    assert.deepEqual(said, ['d1 died (SIGKILL); starting it again in 0.1 s']);
  });

  test('restarts a server that an uncaught error ended, and its log says why', async () => {
    const { cluster, said } = await start({ i1: 'throws-later' });
    await cluster.waitReady();
    await fetch(`http://${cluster.publicAddresses()[0]}/throw`);
    await eventually('its end is noticed', () => said.length > 0);
    assert.deepEqual(said, ['i1 died (exit code 1); starting it again in 0.1 s']);
    assert.match(fs.readFileSync(cluster.logFile('i1'), 'utf8'), /nobody expects this/);
  });

  test('kills a server that does not stop, and is gone within 3 s all the same', async () => {
    const { cluster } = await start({ g1a: 'hangs-on-stop', i1: 'hangs-on-stop' });
    await eventually('all listen', () => isUp(cluster));
    const pids = pidsOf(cluster);
    const stopBeganMs = performance.now();
    await cluster.stop();
    const tookMs = performance.now() - stopBeganMs;
    assert.ok(tookMs < 3_000, `took ${tookMs} ms`);
    assert.ok(tookMs < STOP_MS_MAX + 250);
    assert.deepEqual(pids.filter(isAlive), []);
  });

  test('gives up at once, with its words and exit code, when a server says that it cannot start', async () => {
    const { cluster, said } = await start({ g1a: 'service-invalid' });
    assert.equal(await cluster.ended, 2);
    assert.deepEqual(said, ['g1a cannot start: a service is wrong, says g1a']);
    await assert.rejects(cluster.waitReady(), /a service is wrong, says g1a/);
  });

  test('passes on the exit code of a taken port', async () => {
    const { cluster } = await start({ d1: 'port-taken' });
    assert.equal(await cluster.ended, 3);
  });
});

test('no server outlives a local cluster that was killed', async () => {
  const parent = spawn(process.execPath, [PARENT, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pids = JSON.parse(line.toString()) as number[];
  assert.deepEqual(
    pids.filter((pid) => !isAlive(pid)),
    [],
  );
  parent.kill('SIGKILL');
  await eventually('all are gone', () => !pids.some(isAlive), 3_000);
});

test('a taken port is named, with the server that wants it, before anything starts', async () => {
  const options = await standInOptions(folder);
  const { listen } = options.config.dispatcher.servers[0] ?? { listen: '' };
  const squatter = createServer().listen({ ...splitAddress(listen) });
  await once(squatter, 'listening');
  const expected = new RegExp(
    `Port ${splitAddress(listen).port} on 127.0.0.1 is taken; the dispatcher server d1 wants it`,
  );
  await assert.rejects(startLocalCluster(options), expected);
  assert.equal(fs.existsSync(path.join(folder, 'logs')), false);
  await new Promise((resolve) => squatter.close(resolve));
  cluster = await startLocalCluster(options); // nothing is left locked
  await cluster.waitReady();
});

test('a config that would move the data that is there is refused before anything starts, in one process too', async () => {
  const options = await standInOptions(folder);
  const { config } = options;
  const state = { epoch: 3, config, bucketMap: buildBucketMap(config, 3), routes: [] };
  await new PublishedStateFile(publishedStatePath(folder, '.', 'g1a'), (value) => value).write(state);
  const edited = { ...config, accountKey: { sources: [{ query: 'other' }] } };
  const expected = { code: 'CONFIG_MOVES_DATA', detail: /accountKey\.sources: were / };
  const single = { config: edited, configFile: path.join(folder, 'none.yaml'), rootFolder: folder };
  await assert.rejects(startSingleProcessCluster(single), expected);
  await assert.rejects(startLocalCluster({ ...options, config: edited }), expected);
  cluster = await startLocalCluster(options); // nothing is left locked
  await cluster.waitReady();
});

test('a second cluster on the same data is refused', async () => {
  const { cluster } = await start();
  const config = await standInConfig(folder);
  await assert.rejects(startLocalCluster({ config, programOf: standInProgram }), (error) => {
    assert.ok(error instanceof PlatformError);
    assert.match(error.detail, new RegExp(`already runs on .* \\(process ${process.pid}\\)`));
    return true;
  });
  await cluster.waitReady();
});
