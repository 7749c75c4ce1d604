import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { DataFolderLock } from '../../../../deploy/local-cluster/data-folder-lock.ts';
import { requireDeletable } from '../../../../deploy/local-cluster/reset-data.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

test('a folder that holds Trunkline itself is never deleted', () => {
  for (const folder of ['/', '/srv', '/srv/trunkline']) {
    assert.throws(() => requireDeletable(folder, '/srv/trunkline'), /which holds Trunkline itself/, folder);
  }
  requireDeletable('/srv/trunkline/data', '/srv/trunkline');
  requireDeletable('/srv/trunkline-data', '/srv/trunkline');
});

test('the data of a running cluster is never deleted', () => {
  const folder = tempFolder();
  const lock = DataFolderLock.take(folder);
  assert.throws(() => requireDeletable(folder, '/srv/trunkline'), /A cluster runs on .* Stop it first/);
  lock.release();
  requireDeletable(folder, '/srv/trunkline');
  fs.rmSync(folder, { recursive: true });
});
