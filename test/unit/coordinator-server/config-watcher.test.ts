import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ConfigWatcher } from '../../../coordinator-server/config-watcher.ts';
import type { Clock } from '../../../shared/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { smallClusterYaml } from '../../support/small-cluster.ts';

let folder: string;
let file: string;
let watcher: ConfigWatcher | undefined;
let seen: (number | string)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-watch-'));
  file = join(folder, 'cluster.yaml');
  seen = [];
});

afterEach(async () => {
  watcher?.close();
  await rm(folder, { recursive: true, force: true });
});

/** `seen` gets the request timeout of each config, or the place and text of the first problem. */
function watchFile(watched = file, clock?: Clock): void {
  watcher = new ConfigWatcher({
    file: watched,
    onConfig: (config) => void seen.push(config.limits.requestTimeoutMs),
    onProblems: ([problem]) => void seen.push(`${problem?.line}:${problem?.column}: ${problem?.message}`),
    ...(clock === undefined ? {} : { clock }),
  });
  watcher.start();
}

function save(requestTimeoutMs: number, to = file): Promise<void> {
  return writeFile(to, smallClusterYaml({ requestTimeoutMs }));
}

test('the file is read at the start, and again when it is written in place', async () => {
  await save(1_000);
  watchFile();
  await eventually('the first reading', () => seen.includes(1_000));
  await save(2_000);
  await eventually('the edit', () => seen.includes(2_000), 1_000);
  assert.deepEqual(seen, [1_000, 2_000]);
});

test('a file replaced by a rename is seen, again and again', async () => {
  await save(1_000);
  watchFile();
  for (const timeoutMs of [2_000, 3_000, 4_000]) {
    await save(timeoutMs, `${file}.new`);
    await rename(`${file}.new`, file);
    await eventually(`edit ${timeoutMs}`, () => seen.at(-1) === timeoutMs, 1_000);
  }
});

test('a swapped folder of symbolic links, as Kubernetes makes it, is seen', async () => {
  for (const [version, timeoutMs] of [
    ['v1', 1_000],
    ['v2', 2_000],
  ] as const) {
    await mkdir(join(folder, version));
    await save(timeoutMs, join(folder, version, 'cluster.yaml'));
  }
  await symlink('v1', join(folder, '..data'));
  await symlink('..data/cluster.yaml', file);
  watchFile();
  await eventually('the first reading', () => seen.includes(1_000));
  await symlink('v2', join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  await eventually('the swap', () => seen.includes(2_000), 1_000);
});

test('the slow poll sees what no event tells', async () => {
  const elsewhere = join(folder, 'elsewhere');
  const watched = join(folder, 'watched');
  await mkdir(elsewhere);
  await mkdir(watched);
  await save(1_000, join(elsewhere, 'cluster.yaml'));
  await symlink(join(elsewhere, 'cluster.yaml'), join(watched, 'cluster.yaml'));
  const clock = new ManualClock();
  watchFile(join(watched, 'cluster.yaml'), clock);
  await eventually('the first reading', () => seen.includes(1_000));
  await save(2_000, join(elsewhere, 'cluster.yaml'));
  await eventually('the edit', () => {
    clock.advance(5_000);
    return seen.includes(2_000);
  });
});

test('a bad file is told with line and column, once, and the next good one is taken', async () => {
  await save(1_000);
  watchFile();
  await eventually('the first reading', () => seen.length === 1);
  await writeFile(file, smallClusterYaml().replace('version: 1', 'version: 9'));
  await eventually('the problem', () => seen.length === 2, 1_000);
  assert.match(String(seen[1]), /^1:\d+: /);
  await save(3_000);
  await eventually('the next good one', () => seen.at(-1) === 3_000, 1_000);
  assert.equal(seen.length, 3);
});

test('a file that goes away is a problem, and is read again when it comes back', async () => {
  await save(1_000);
  watchFile();
  await eventually('the first reading', () => seen.length === 1);
  await unlink(file);
  await eventually('the problem', () => typeof seen.at(-1) === 'string', 1_000);
  await save(1_000);
  await eventually('the file again', () => seen.at(-1) === 1_000, 1_000);
});

test('saving the same content says nothing', async () => {
  await save(1_000);
  watchFile();
  await eventually('the first reading', () => seen.length === 1);
  await save(1_000);
  await writeFile(file, `# a remark\n${smallClusterYaml({ requestTimeoutMs: 1_000 })}`);
  await save(2_000);
  await eventually('the edit', () => seen.at(-1) === 2_000, 1_000);
  assert.deepEqual(seen, [1_000, 2_000]);
});

test('a closed watcher says nothing more and leaves no timer', async () => {
  const clock = new ManualClock();
  await save(1_000);
  watchFile(file, clock);
  await eventually('the first reading', () => seen.length === 1);
  watcher?.close();
  assert.equal(clock.pendingTimers, 0);
});
