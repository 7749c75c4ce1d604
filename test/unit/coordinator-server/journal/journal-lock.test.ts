/** The lock of a journal's folder: one holder, and none after a `kill -9`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, beforeEach, mock, test } from 'node:test';
import { JournalLock } from '../../../../coordinator-server/journal/journal-lock.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'journal-lock-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

let folder = '';
let folders = 0;
beforeEach(() => {
  folders += 1;
  folder = path.join(root, String(folders));
});

const LOCK = new URL('../../../../coordinator-server/journal/journal-lock.ts', import.meta.url).href;
/** Says `held` or why not, and lives until it is killed. */
const HOLDER = `
const { JournalLock } = await import(${JSON.stringify(LOCK)});
try { JournalLock.take(process.argv[1]); console.log('held'); setInterval(() => {}, 1000); }
catch (error) { console.log(error.message); }`;

async function holder(): Promise<{ said: string; kill: () => Promise<void> }> {
  const args = ['--no-warnings', '--input-type=module', '-e', HOLDER, folder];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { said: said.toString().trim(), kill };
}

test('a folder that this process holds is not given out again before it is released', () => {
  const lock = JournalLock.take(folder);
  assert.throws(() => JournalLock.take(folder), { code: 'USAGE', message: /process that runs/ });
  lock.release();
  JournalLock.take(folder).release();
  assert.deepEqual(fs.readdirSync(folder), []);
});

test('what another process holds is refused with its pid, until that is killed', async () => {
  const other = await holder();
  try {
    assert.equal(other.said, 'held');
    assert.throws(() => JournalLock.take(folder), { code: 'USAGE', message: /\(\d+\)/ });
  } finally {
    await other.kill();
  }
  const lock = JournalLock.take(folder);
  assert.equal(fs.readdirSync(folder).length, 1);
  lock.release();
});

test('of several processes that find a dead holder at once one gets in', async () => {
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, '7.lock'), JSON.stringify({ pid: process.pid, startedAt: 'long ago' }));
  const others = await Promise.all([holder(), holder(), holder(), holder()]);
  try {
    assert.deepEqual(others.filter(({ said }) => said === 'held').length, 1);
  } finally {
    await Promise.all(others.map(({ kill }) => kill()));
  }
});

test('a process that has the number of a dead holder is not taken for it', () => {
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, '3.lock'), JSON.stringify({ pid: 1, startedAt: 'another boot' }));
  JournalLock.take(folder).release();
});

/** Another process's lock, which lives, comes into being right before ours is made. */
function overtaken(byNumber: number): () => void {
  const { linkSync } = fs;
  const other = path.join(folder, `${byNumber}.lock`);
  const link = mock.method(fs, 'linkSync', (from: string, to: string) => {
    // Its start instant is not known: so its id alone says whether it lives.
    if (!fs.existsSync(other)) fs.writeFileSync(other, JSON.stringify({ pid: process.ppid, startedAt: '' }));
    linkSync(from, to);
  });
  return () => link.mock.restore();
}

for (const [what, byNumber] of [
  ['took the same number just before', 1],
  ['has a higher number meanwhile, made from one that is gone', 2],
] as const) {
  test(`a process that ${what} is let in, and we are not`, () => {
    const restore = overtaken(byNumber);
    try {
      assert.throws(() => JournalLock.take(folder), { code: 'USAGE', message: new RegExp(`\\(${process.ppid}\\)`) });
    } finally {
      restore();
    }
    assert.deepEqual(fs.readdirSync(folder), [`${byNumber}.lock`]);
  });
}
