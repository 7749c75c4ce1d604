import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findProgram, missingPeerLines } from '../../../../deploy/checks/peer-programs.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

test('a program is found on the path', () => {
  const folder = tempFolder();
  fs.writeFileSync(path.join(folder, 'a-peer'), '');
  assert.equal(
    findProgram('a-peer', ['', path.join(folder, 'none'), folder].join(path.delimiter)),
    path.join(folder, 'a-peer'),
  );
  assert.equal(findProgram('no-such-peer', folder), undefined);
  fs.rmSync(folder, { recursive: true });
});

test('what is missing is named, with what that costs and how to install it', () => {
  assert.deepEqual(
    missingPeerLines((program) => program === 'wrk' || program === 'haproxy'),
    [
      'nginx is missing: route goes without the rows of nginx → nginx',
      'mariadbd is missing: read and write go without the rows of MariaDB',
      'to install on Debian: apt-get install --no-install-recommends nginx mariadb-server-core',
    ],
  );
  assert.deepEqual(
    missingPeerLines(() => true),
    [],
  );
});
