/** `trunkline up` and its kin, as a person uses them: real servers, real signals. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import { eventually } from '../../support/eventually.ts';
import { isAlive } from '../../support/stand-in/stand-in-cluster.ts';
import { tempFolder, testConfig } from '../../support/test-cluster.ts';

const CLI = path.resolve(import.meta.dirname, '../../../deploy/cli.ts');

let folder = '';
let config: ClusterConfig;
let running: ChildProcess[] = [];
beforeEach(async () => {
  folder = tempFolder();
  config = await testConfig(path.join(folder, 'data'));
  fs.writeFileSync(path.join(folder, 'cluster.yaml'), JSON.stringify(config));
});
afterEach(async () => {
  for (const child of running) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  running = [];
  await eventually('the ports are free', () => !fs.existsSync(folder) || removed(), 5_000);
});

/** Servers whose parent was killed may still be writing: their end empties the folder for good. */
function removed(): boolean {
  fs.rmSync(folder, { recursive: true, force: true });
  return !fs.existsSync(folder);
}

interface Running {
  readonly child: ChildProcess;
  output(): string;
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>;
}

function trunkline(...args: string[]): Running {
  const child = spawn(process.execPath, [...process.execArgv, CLI, ...args], { cwd: folder });
  running.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, output: () => output, exit: once(child, 'close') as Running['exit'] };
}

const url = (): string => `http://${config.interface.servers[0]?.listen}`;

/** Process ids of the servers, from their logs. */
function serverPids(): number[] {
  const logs = path.join(folder, 'data/logs');
  return fs.readdirSync(logs).map((file) => {
    const line = fs.readFileSync(path.join(logs, file), 'utf8').match(/"pid":(\d+)/);
    return Number(line?.[1]);
  });
}

describe('trunkline up', () => {
  test('prints the servers and what to try, serves, and is gone within 3 s of one Ctrl-C that npm doubles', async () => {
    const up = trunkline('up', '--config', 'cluster.yaml');
    await eventually('it is ready', () => /ready after/.test(up.output()) && /Stop: Ctrl-C/.test(up.output()), 20_000);
    for (const id of ['c1', 'i1', 'i2', 'd1', 'd2', 'g1a', 'g1b', 'g2a', 'g2b']) {
      assert.match(up.output(), new RegExp(`^ {2}${id} .* (up|starting)$`, 'm'));
    }
    assert.match(up.output(), /Logs: data\/logs/);
    const tries = up.output().match(/^ {2}curl .*$/gm) ?? [];
    assert.equal(tries.length, 3);
    const made = await fetch(`${url()}/accounts/alice`, {
      method: 'PUT',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(made.status, 201);
    const pids = serverPids();
    assert.deepEqual(
      pids.filter((pid) => !isAlive(pid)),
      [],
    );

    const reset = trunkline('reset', '--yes', '--config', 'cluster.yaml');
    assert.deepEqual(await reset.exit, [2, null]);
    assert.match(reset.output(), /A cluster runs on/);

    const beganMs = performance.now();
    up.child.kill('SIGINT');
    up.child.kill('SIGINT');
    assert.deepEqual(await up.exit, [0, null]);
    assert.ok(performance.now() - beganMs < 3_000, `took ${performance.now() - beganMs} ms`);
    assert.deepEqual(pids.filter(isAlive), []);

    const after = trunkline('reset', '--yes', '--config', 'cluster.yaml');
    assert.deepEqual(await after.exit, [0, null]);
    assert.equal(fs.existsSync(path.join(folder, 'data')), false);
  });

  test('runs the same cluster in one process', async () => {
    const up = trunkline('up', '--single-process', '--config', 'cluster.yaml');
    await eventually('it is ready', () => /ready after/.test(up.output()) && /Stop: Ctrl-C/.test(up.output()), 20_000);
    const answer = await fetch(`${url()}/-/ready`);
    assert.equal(answer.status, 200);
    assert.deepEqual(fs.readdirSync(path.join(folder, 'data/logs')), ['cluster.log']);
    const beganMs = performance.now();
    up.child.kill('SIGTERM');
    assert.deepEqual(await up.exit, [0, null]);
    assert.ok(performance.now() - beganMs < 3_000);
  });

  test('says which service is wrong, and does not try again', async () => {
    config.services = [path.join(folder, 'no-such-service')];
    fs.writeFileSync(path.join(folder, 'cluster.yaml'), JSON.stringify(config));
    const up = trunkline('up', '--config', 'cluster.yaml');
    assert.deepEqual(await up.exit, [2, null]);
    assert.match(up.output(), /cannot start: .*no-such-service/s);
  });

  test('a wrong config is refused with file:line:column, before anything starts', async () => {
    fs.writeFileSync(path.join(folder, 'wrong.yaml'), 'version: 1\ncluster: Local!\n');
    const up = trunkline('up', '--config', 'wrong.yaml');
    assert.deepEqual(await up.exit, [2, null]);
    assert.match(up.output(), /wrong\.yaml:2:10: /);
    assert.equal(fs.existsSync(path.join(folder, 'data')), false);
  });
});

describe('trunkline', () => {
  test('a reader that goes away ends the command quietly', async () => {
    const help = trunkline('route', '--help');
    help.child.stdout?.destroy();
    assert.deepEqual([await help.exit, help.output()], [[0, null], '']);
  });

  test('every command has --help with examples', async () => {
    for (const command of ['up', 'test', 'check', 'bench', 'reset', 'route', 'config']) {
      const help = trunkline(command, '--help');
      assert.deepEqual(await help.exit, [0, null], command);
      assert.match(help.output(), new RegExp(`Usage: trunkline ${command}`));
      assert.match(help.output(), /Examples?:/, command);
    }
  });

  test('an unknown command, an unknown option and no command end with exit code 2', async () => {
    const unknown = trunkline('upp');
    const option = trunkline('up', '--nope');
    const nothing = trunkline();
    assert.deepEqual(await Promise.all([unknown.exit, option.exit, nothing.exit]), [
      [2, null],
      [2, null],
      [2, null],
    ]);
    assert.match(unknown.output(), /unknown command 'upp'.*Did you mean up\?/s);
    assert.match(option.output(), /unknown option '--nope'/);
    assert.match(nothing.output(), /Usage: trunkline/);
  });

  test('a part of no test file, and an unknown benchmark, are said to be so', async () => {
    const noTest = trunkline('test', 'no/such/part');
    const noBench = trunkline('bench', 'nothing-like-it');
    assert.deepEqual(await Promise.all([noTest.exit, noBench.exit]), [
      [2, null],
      [2, null],
    ]);
    assert.match(noTest.output(), /got no\/such\/part: none has it/);
    assert.match(noBench.output(), /Expected names of benchmarks/);
  });

  test('reset without a terminal and without --yes deletes nothing', async () => {
    fs.mkdirSync(path.join(folder, 'data'));
    const reset = trunkline('reset', '--config', 'cluster.yaml');
    reset.child.stdin?.end();
    assert.deepEqual(await reset.exit, [2, null]);
    assert.match(reset.output(), /Add --yes/);
    assert.equal(fs.existsSync(path.join(folder, 'data')), true);
  });
});
