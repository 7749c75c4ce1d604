import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { benchmarksIn } from '../../../../deploy/checks/run-benchmarks.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

test('benchmarks are the programs right in the folder', () => {
  const folder = tempFolder();
  for (const name of ['write.ts', 'route.ts', 'notes.md']) fs.writeFileSync(path.join(folder, name), '');
  fs.mkdirSync(path.join(folder, 'results'));
  assert.deepEqual(benchmarksIn(folder), ['route', 'write']);
  assert.deepEqual(benchmarksIn(path.join(folder, 'absent')), []);
  fs.rmSync(folder, { recursive: true });
});
