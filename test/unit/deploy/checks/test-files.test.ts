import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findTestFiles, matchingFiles } from '../../../../deploy/checks/test-files.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

test('test files are those of the test folders, and those right in test/', () => {
  const root = tempFolder();
  const files = ['test/tidy.test.ts', 'test/unit/a/b.test.ts', 'test/fault/c.test.ts'];
  for (const file of [...files, 'test/unit/a/b.ts', 'test/bench/d.test.ts', 'test/support/e.test.ts']) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), '');
  }
  assert.deepEqual(findTestFiles(root), [...files].sort());
  fs.rmSync(root, { recursive: true });
});

test('a part of a path chooses files; no part, all of them', () => {
  const files = ['test/unit/shared/queue.test.ts', 'test/unit/db/x.test.ts'];
  assert.deepEqual(matchingFiles(files, ['shared/queue']), [files[0]]);
  assert.deepEqual(matchingFiles(files, ['./test/unit/db/x.test.ts']), [files[1]]);
  assert.deepEqual(matchingFiles(files, ['nope']), []);
  assert.deepEqual(matchingFiles(files, []), files);
});
