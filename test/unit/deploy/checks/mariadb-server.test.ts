import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findMariadbServer } from '../../../../deploy/checks/mariadb-server.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

test('the first server program on the path is found', () => {
  const folder = tempFolder();
  fs.writeFileSync(path.join(folder, 'mariadbd'), '');
  const searchPath = ['', path.join(folder, 'none'), folder].join(path.delimiter);
  assert.equal(findMariadbServer(searchPath), path.join(folder, 'mariadbd'));
  fs.rmSync(folder, { recursive: true });
});
