import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ServerLog } from '../../../../deploy/local-cluster/server-log.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

let folder = '';
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const read = (name: string): string => fs.readFileSync(path.join(folder, name), 'utf8');

test('a new start keeps the last one as the older part', () => {
  const first = new ServerLog(path.join(folder, 'i1.log'));
  fs.writeSync(first.fd, 'first\n');
  first.close();
  const second = new ServerLog(path.join(folder, 'i1.log'));
  fs.writeSync(second.fd, 'second\n');
  second.close();
  assert.equal(read('i1.log.1'), 'first\n');
  assert.equal(read('i1.log'), 'second\n');
});

test('over its bound it moves to the older part, and whoever writes to it goes on', () => {
  const log = new ServerLog(path.join(folder, 'i1.log'), 10);
  fs.writeSync(log.fd, '0123456789');
  log.trim();
  assert.equal(read('i1.log'), '0123456789');
  fs.writeSync(log.fd, 'x');
  log.trim();
  fs.writeSync(log.fd, 'after\n');
  log.close();
  assert.equal(read('i1.log.1'), '0123456789x');
  assert.equal(read('i1.log'), 'after\n');
});
