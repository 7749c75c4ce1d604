import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { DataFolderLock, runningClusterPid } from '../../../../deploy/local-cluster/data-folder-lock.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

let folder = '';
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

test('a folder has one owner, until it is released', () => {
  const lock = DataFolderLock.take(folder);
  assert.equal(lock.foundStale, false);
  assert.equal(runningClusterPid(folder), process.pid);
  assert.throws(() => DataFolderLock.take(folder), /already runs on .* \(process \d+\)/);
  lock.release();
  assert.equal(runningClusterPid(folder), undefined);
  DataFolderLock.take(folder).release();
});

test('the lock of a dead process is taken over', () => {
  const { pid } = spawnSync('true');
  fs.writeFileSync(path.join(folder, 'cluster.pid'), JSON.stringify({ pid, startedAt: '' }));
  assert.equal(runningClusterPid(folder), undefined);
  assert.equal(DataFolderLock.take(folder).foundStale, true);
});

test('the number of a dead owner that another process got since is not taken for it', { skip: needsProc() }, () => {
  fs.writeFileSync(
    path.join(folder, 'cluster.pid'),
    JSON.stringify({ pid: process.pid, startedAt: 'an earlier boot 1' }),
  );
  assert.equal(runningClusterPid(folder), undefined);
});

test('a lock cut short by a crash is no lock', () => {
  fs.writeFileSync(path.join(folder, 'cluster.pid'), '{"pid":');
  assert.equal(runningClusterPid(folder), undefined);
  DataFolderLock.take(folder);
});

function needsProc(): string | false {
  return fs.existsSync('/proc/self/stat') ? false : 'only where /proc tells when a process started';
}
