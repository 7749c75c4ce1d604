import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findTestFiles, matchingFiles, soakFiles } from '../../../../deploy/checks/test-files.ts';
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

test('fault tests and whatever has two lengths belong to a soak', () => {
  const root = tempFolder();
  const texts: Readonly<Record<string, string>> = {
    'test/fault/kill.test.ts': '',
    'test/unit/parser.test.ts': "import { FC_RUNS } from '../support/property-runs.ts';",
    'test/unit/deep/down.test.ts': "import { lengthOf } from '../../support/soak.ts';",
    'test/unit/model.test.ts': "import '../support/property-runs.ts';",
    'test/unit/short.test.ts': "import { eventually } from '../support/eventually.ts'; // not property-runs.ts",
  };
  for (const [file, text] of Object.entries(texts)) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  }
  const files = Object.keys(texts);
  assert.deepEqual(soakFiles(root, files), files.slice(0, 4));
  fs.rmSync(root, { recursive: true });
});
