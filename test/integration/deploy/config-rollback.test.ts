/** `trunkline config history` and `rollback` on a running cluster: what was published, and one of it put back. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';

const CLI = path.resolve(import.meta.dirname, '../../../deploy/cli.ts');

let running: TestCluster;
let born: string;

before(async () => {
  running = await startTestCluster();
  born = fs.readFileSync(running.cluster.configFile, 'utf8');
  await untilWhole(running.config);
});

after(() => running.close());

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function trunkline(...args: readonly string[]): Promise<Ran> {
  const { configFile } = running.cluster;
  return new Promise((resolve) => {
    const argv = [CLI, 'config', ...args, '--config', configFile, '--data', running.dataFolder];
    const child = execFile(process.execPath, argv, (_error, out, err) => resolve({ code: child.exitCode, out, err }));
  });
}

interface HistoryRow {
  readonly epoch: number;
  readonly changes: readonly string[];
  readonly checksum: string;
  readonly kept: boolean;
}

async function history(): Promise<HistoryRow[]> {
  const { code, out, err } = await trunkline('history', '--json');
  assert.equal(code, 0, err);
  return JSON.parse(out) as HistoryRow[];
}

async function untilRecorded(count: number): Promise<HistoryRow[]> {
  return await eventually(
    `${count} configs in the history, each with its file`,
    async () => {
      const rows = await history();
      return rows.length === count && rows.every(({ kept }) => kept) ? rows : undefined;
    },
    20_000,
  );
}

function save(text: string): void {
  const file = running.cluster.configFile;
  fs.writeFileSync(`${file}.new`, text);
  fs.renameSync(`${file}.new`, file);
}

test('the first config is in the history with its file, and an edit follows it', async () => {
  const [first] = await untilRecorded(1);
  assert.deepEqual(first?.changes, ['birth']);
  const { out } = await trunkline('history', String(first?.epoch));
  assert.equal(out, born);
  save(born.replace(/"bodyBytesMax": \d+/, '"bodyBytesMax": 2048'));
  const rows = await untilRecorded(2);
  assert.deepEqual(rows[1]?.changes, ['limits']);
});

test('a dry run shows the difference and changes nothing; without a terminal it does not ask', async () => {
  const held = fs.readFileSync(running.cluster.configFile, 'utf8');
  const { code, out } = await trunkline('rollback', '--dry-run');
  assert.equal(code, 0);
  assert.match(out, /^- {5}"bodyBytesMax": 2048,$/m);
  assert.match(out, /and change: limits\.$/m);
  const asked = await trunkline('rollback');
  assert.deepEqual([asked.code, /add --yes/.test(asked.err)], [2, true]);
  assert.equal(fs.readFileSync(running.cluster.configFile, 'utf8'), held);
});

test('rollback puts the older file back, keeps the newer one, and it is published and acted on', async () => {
  const body = JSON.stringify({ amount: 1, note: 'x'.repeat(3_000) });
  const headers = { 'content-type': 'application/json' };
  const send = async (): Promise<number> =>
    (await fetch(`${running.urls[0]}/accounts/alice/deposits`, { method: 'POST', headers, body })).status;
  await eventually('the lower limit', async () => (await send()) === 413, 20_000);
  const { code, out, err } = await trunkline('rollback', '--yes', '--json');
  assert.equal(code, 0, err);
  const { kept, publishedAs } = JSON.parse(out) as { kept: string; publishedAs: number };
  assert.equal(fs.readFileSync(running.cluster.configFile, 'utf8'), born);
  assert.match(fs.readFileSync(kept, 'utf8'), /"bodyBytesMax": 2048/);
  await eventually('the limit of before', async () => (await send()) !== 413, 20_000);
  const rows = await untilRecorded(3);
  assert.deepEqual([rows[2]?.epoch, rows[2]?.checksum], [publishedAs, rows[0]?.checksum]);
});

test('a file with mistakes is put right by rollback to what is published', async () => {
  save('version: 1\ncluster: local\n  token: [\n');
  const rows = await history();
  const newest = String(rows.at(-1)?.epoch);
  const { code, out, err } = await trunkline('rollback', newest, '--yes');
  assert.equal(code, 0, err);
  assert.match(out, /only the file differs/);
  assert.equal(fs.readFileSync(running.cluster.configFile, 'utf8'), born);
  assert.equal((await history()).length, rows.length);
});

test('an epoch that was never published is a mistake of whoever asked', async () => {
  const { code, err } = await trunkline('rollback', '7', '--dry-run');
  assert.deepEqual([code, /expected the epoch of a config that was published/.test(err)], [2, true]);
});
