import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import { ensureSecretFile } from '../../../shared/config/secret.ts';
import { PublishedStateFile, publishedStatePath } from '../../../shared/published-state-file.ts';
import { buildBucketMap } from '../../../shared/routing/bucket-map.ts';
import { eventually } from '../../support/eventually.ts';
import { standInConfig, standInProgram } from '../../support/stand-in/stand-in-cluster.ts';
import { tempFolder } from '../../support/test-cluster.ts';

let folder = '';
let config: ClusterConfig;
before(async () => {
  folder = tempFolder();
  config = await standInConfig(folder);
  ensureSecretFile(config.token, folder);
  fs.writeFileSync(configFile(), JSON.stringify(config));
});
after(() => fs.rmSync(folder, { recursive: true }));

const configFile = (): string => path.join(folder, 'cluster.json');

interface Started {
  readonly child: ChildProcess;
  /** Resolves with the first message to the IPC parent. */
  readonly message: Promise<{ type: string; code?: string; detail?: string; listen?: string }>;
  readonly exit: Promise<[code: number | null, signal: string | null]>;
  output(): string;
}

function start(args: readonly string[], behaviour = 'well', ipc = true): Started {
  const env = { ...process.env, STAND_IN_BEHAVIOURS: JSON.stringify({ i1: behaviour }) };
  const nodeArgs = [...standInProgram('interface'), ...args];
  const child = spawn(process.execPath, nodeArgs, {
    env,
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc' as const] : [])],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const message = ipc ? once(child, 'message').then(([value]) => value as never) : new Promise<never>(() => {});
  return { child, message, exit: once(child, 'close') as Started['exit'], output: () => output };
}

/** What i1 would have kept in the folder `kept`. */
async function keepState(published: ClusterConfig): Promise<void> {
  const inKept = { ...published, dataFolder: 'kept' };
  const state = { epoch: 3, config: inKept, bucketMap: buildBucketMap(inKept, 3), routes: [] };
  await new PublishedStateFile(publishedStatePath(folder, 'kept', 'i1'), (value) => value).write(state);
}

const usual = (): string[] => ['--config', configFile(), '--id', 'i1', '--root', folder];

describe("a server's process", () => {
  test('tells its parent where it listens, and stops with exit code 0 on SIGTERM', async () => {
    const server = start(usual());
    const { type, listen } = await server.message;
    assert.deepEqual({ type, listen }, { type: 'listening', listen: config.interface.servers[0]?.listen });
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exit, [0, null]);
    assert.match(server.output(), /"msg":"stopped"/);
  });

  test("leaves a terminal's SIGINT and SIGHUP to its parent, and stops when the parent goes", async () => {
    const server = start(usual());
    await server.message;
    server.child.kill('SIGINT');
    server.child.kill('SIGHUP');
    const answer = await fetch(`http://${config.interface.servers[0]?.listen}/`);
    assert.equal(answer.status, 200);
    const exit = once(server.child, 'exit'); // there is no 'close' after disconnect()
    server.child.disconnect();
    assert.deepEqual(await exit, [0, null]);
  });

  test('stops when its parent went while it was still loading', async () => {
    const server = start(usual());
    const exit = once(server.child, 'exit');
    server.child.disconnect();
    assert.deepEqual(await exit, [0, null]);
  });

  test('stops on SIGINT when nobody supervises it', async () => {
    const server = start(usual(), 'well', false);
    await once(server.child.stdout as NodeJS.ReadableStream, 'data');
    server.child.kill('SIGINT');
    assert.deepEqual(await server.exit, [0, null]);
  });

  test('ends at once on a second signal', async () => {
    const server = start(usual(), 'hangs-on-stop');
    await server.message;
    server.child.kill('SIGTERM');
    await eventually('the first one is acted on', () => server.output().includes('"stopping"')); // two at once are one
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exit, [130, null]);
  });

  test('ends a second after its drain time, however it hangs', async () => {
    const server = start(usual(), 'hangs-on-stop');
    await server.message;
    const beganMs = performance.now();
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exit, [1, null]);
    assert.ok(performance.now() - beganMs >= config.limits.drainMs + 900);
    assert.match(server.output(), /still not stopped/);
  });

  test('says that stopping failed, with exit code 1', async () => {
    const server = start(usual(), 'fails-to-stop');
    await server.message;
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exit, [1, null]);
    assert.match(server.output(), /cannot stop/);
  });

  test('a taken port: exit code 3, and one plain line', async () => {
    const server = start(usual(), 'port-taken');
    assert.deepEqual(await server.message, { type: 'failed', code: 'PORT_TAKEN', detail: 'Port 1 is taken, says i1' });
    assert.deepEqual(await server.exit, [3, null]);
    assert.equal(server.output(), 'Port 1 is taken, says i1\n');
  });

  test('a wrong config: exit code 2, every problem with its place', async () => {
    const file = path.join(folder, 'wrong.yaml');
    fs.writeFileSync(file, 'version: 1\ncluster: Local!\n');
    const server = start(['--config', file, '--id', 'i1', '--root', folder], 'well', false);
    assert.deepEqual(await server.exit, [2, null]);
    assert.match(server.output(), /wrong\.yaml:2:10: /);
  });

  test('a wrong config, and one published before: starts from that, and says why', async () => {
    await keepState(config);
    const file = path.join(folder, 'wrong.yaml');
    fs.writeFileSync(file, 'version: 1\ncluster: Local!\n');
    const server = start(['--config', file, '--id', 'i1', '--root', folder, '--data', 'kept']);
    assert.equal((await server.message).listen, config.interface.servers[0]?.listen);
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exit, [0, null]);
    const [line = ''] = server.output().split('\n');
    const { level, msg, code, reasons, epoch } = JSON.parse(line);
    assert.deepEqual([level, code, epoch], ['warn', 'CONFIG_INVALID', 3]);
    assert.match(msg, /starting from the config that was published last/);
    assert.match(reasons.join('\n'), /wrong\.yaml:2:10: /);
  });

  test('a config that would move data, and one published before: starts from that, and says why', async () => {
    const accountKey = { sources: [{ header: 'x-other' }] };
    const address = '127.0.0.1:1'; // not free to listen on: the published one is used
    const edited = structuredClone({ ...config, dataFolder: 'kept', accountKey });
    Object.assign(edited.interface.servers[0] ?? {}, { listen: address });
    await keepState(config);
    const file = path.join(folder, 'moving.json');
    fs.writeFileSync(file, JSON.stringify(edited));
    const server = start(['--config', file, '--id', 'i1', '--root', folder, '--data', 'kept']);
    assert.equal((await server.message).listen, config.interface.servers[0]?.listen);
    server.child.kill('SIGTERM');
    await server.exit;
    assert.match(server.output(), /"code":"CONFIG_MOVES_DATA","reasons":\["accountKey\.sources: were /);
  });

  test('a wrong config and nothing published: exit code 2, and where it was looked for', async () => {
    const file = path.join(folder, 'wrong.yaml');
    fs.writeFileSync(file, 'version: 1\ncluster: Local!\n');
    const server = start(['--config', file, '--id', 'i2', '--root', folder], 'well', false);
    assert.deepEqual(await server.exit, [2, null]);
    assert.match(server.output(), /wrong\.yaml:2:10: /);
    assert.match(
      server.output(),
      /No published config to start from instead: .*\/data\/i2\/published-state\.json is not/,
    );
  });

  test('an id that is not of its tier, or missing arguments: exit code 2, and what was expected', async () => {
    const other = start(['--config', configFile(), '--id', 'd1'], 'well', false);
    const none = start(['--id', 'i1'], 'well', false);
    const unknown = start([...usual(), '--nope'], 'well', false);
    assert.deepEqual(await Promise.all([other.exit, none.exit, unknown.exit]), [
      [2, null],
      [2, null],
      [2, null],
    ]);
    assert.match(other.output(), /expected interface server of this cluster \(i1\), got d1/);
    assert.match(none.output(), /expected --config FILE --id SERVER_ID/);
    assert.match(unknown.output(), /--nope/);
  });
});
