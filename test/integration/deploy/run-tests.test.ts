/** The runner behind `npm test`, on small test files of its own; in a process of its own, as runs do not nest. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { TestRun } from '../../../deploy/checks/run-tests.ts';
import { tempFolder } from '../../support/test-cluster.ts';

const MODULE = path.resolve(import.meta.dirname, '../../../deploy/checks/run-tests.ts');
const FILES: Readonly<Record<string, string>> = {
  'test/unit/well.test.ts': "test('works', () => {});\ntest('waits', { skip: 'no server' }, () => {});",
  'test/unit/wrong.test.ts': "test('fails', (): never => { throw new Error('on purpose'); });",
  'test/fault/long.test.ts':
    "test('has two lengths', (context) => context.diagnostic('length ' + (process.env.TRUNKLINE_SOAK === '1' ? 'full' : 'short')));",
  'test/fault/hangs.test.ts': "test('hangs', () => new Promise((resolve) => setTimeout(resolve, 60_000)));",
};

let root = '';
before(() => {
  root = tempFolder();
  for (const [file, text] of Object.entries(FILES)) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), `import { test } from 'node:test';\n${text}\n`);
  }
});
after(() => fs.rmSync(root, { recursive: true }));

function runFiles(files: readonly string[], options = ''): { run: TestRun; report: string } {
  const script = `import { runTests } from ${JSON.stringify(MODULE)};
    const run = await runTests(${JSON.stringify(root)}, ${JSON.stringify(files)}, { fileMsMax: 1_500, ${options} });
    process.stderr.write(JSON.stringify(run));
    process.exit();`;
  const env = { ...process.env };
  delete env['NODE_TEST_CONTEXT'];
  fs.writeFileSync(path.join(root, 'run.mjs'), script);
  const ran = spawnSync(process.execPath, [path.join(root, 'run.mjs')], { env, encoding: 'utf8' });
  return { run: JSON.parse(ran.stderr) as TestRun, report: ran.stdout };
}

test('all files make one report with one summary; a file that hangs is ended and counts as failed', () => {
  const { run, report } = runFiles(Object.keys(FILES).filter((file) => !file.includes('long')));
  const { tests, pass, fail, cancelled, skipped } = run.totals;
  assert.deepEqual({ tests, pass, fail, cancelled, skipped }, { tests: 4, pass: 1, fail: 1, cancelled: 1, skipped: 1 });
  assert.deepEqual(run.skipped, ['test/unit/well.test.ts: waits (no server)']);
  assert.equal(report.match(/^ℹ pass 1$/gm)?.length, 1);
  assert.equal(report.match(/failing tests:/g)?.length, 1);
  assert.match(report.slice(report.indexOf('failing tests:')), /on purpose[\s\S]*timed out after 1500ms/);
});

test('when all pass nothing is said to fail', () => {
  const { run, report } = runFiles(['test/unit/well.test.ts']);
  assert.deepEqual([run.totals.fail, run.totals.pass], [0, 1]);
  assert.doesNotMatch(report, /failing tests/);
});

test('a soak tells the tests to take their full length, and shows their figures', () => {
  const long = ['test/fault/long.test.ts'];
  assert.match(runFiles(long).report, /length short/);
  assert.match(runFiles(long, 'soak: true').report, /length full/);
});
