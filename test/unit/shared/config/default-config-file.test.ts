import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { defaultConfigFile } from '../../../../shared/config/default-config-file.ts';

test('a cluster.yaml in the folder comes before the local cluster that is shipped', (context) => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'trunkline-default-'));
  context.after(() => rmSync(root, { recursive: true }));
  assert.equal(defaultConfigFile(root), path.join(root, 'deploy/clusters/local.yaml'));
  writeFileSync(path.join(root, 'cluster.yaml'), '');
  assert.equal(defaultConfigFile(root), path.join(root, 'cluster.yaml'));
});
