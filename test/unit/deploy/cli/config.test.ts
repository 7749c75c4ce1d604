import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, describe, test } from 'node:test';
import { checkConfig } from '../../../../deploy/cli/config.ts';
import { changed, SMALL_CLUSTER } from '../../../support/cluster-text.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../../../..');
const LOCAL = path.join(CHECKOUT, 'deploy/clusters/local.yaml');

const folder = mkdtempSync(path.join(os.tmpdir(), 'trunkline-cli-config-'));
after(() => rmSync(folder, { recursive: true }));
const wrong = path.join(folder, 'wrong.yaml');
writeFileSync(wrong, changed('cluster: small', 'clutser: small'));

function trunkline(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['deploy/cli.ts', 'config', ...words], { cwd: CHECKOUT }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('config check', () => {
  test('sums the local cluster up in one line', async () => {
    const report = await checkConfig(LOCAL, false);
    assert.deepEqual(report, {
      ok: true,
      text: `${LOCAL}: ok: cluster local: 1 coordinator, 2 interface servers, 2 dispatchers, 2 groups, 4 app servers, 4 sqlite replicas, 2 services; 100 buckets by jdk-string\n`,
    });
  });

  test('prints every problem with file, line and column', async () => {
    const report = await checkConfig(wrong, false);
    assert.equal(report.ok, false);
    const lines = report.text.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /wrong\.yaml:1:1: cluster: missing: expected text/);
    assert.match(lines[1] ?? '', /wrong\.yaml:2:1: clutser: unknown key: .*did you mean `cluster`\?$/);
  });

  test('prints problems as JSON when asked', async () => {
    const report = JSON.parse((await checkConfig(wrong, true)).text);
    assert.equal(report.ok, false);
    assert.deepEqual(
      report.problems.map((problem: { line: number; column: number; path: string }) => [
        problem.line,
        problem.column,
        problem.path,
      ]),
      [
        [1, 1, 'cluster'],
        [2, 1, 'clutser'],
      ],
    );
  });

  test('exits with 0 for a right config, and with 1 and the problems on standard error for a wrong one', async () => {
    const right = path.join(folder, 'right.yaml');
    writeFileSync(right, SMALL_CLUSTER);
    const [fine, refused, refusedJson] = await Promise.all([
      trunkline('check', right),
      trunkline('check', wrong),
      trunkline('check', wrong, '--json'),
    ]);
    assert.deepEqual([fine.code, fine.err, fine.out.split('\n').length], [0, '', 2]);
    assert.equal(refused.code, 1);
    assert.equal(refused.out, '');
    assert.match(refused.err, /^\S+wrong\.yaml:1:1: cluster: missing/);
    assert.deepEqual([refusedJson.code, JSON.parse(refusedJson.out).ok], [1, false]);
  });
});

test('config schema prints the committed JSON Schema', async () => {
  const { code, out } = await trunkline('schema');
  assert.equal(code, 0);
  assert.equal(out, readFileSync(path.join(CHECKOUT, 'deploy/clusters/cluster.schema.json'), 'utf8'));
});
