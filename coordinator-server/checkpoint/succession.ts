/**
 * Who is the coordinator after a checkpointer was promoted: marks in the servers' own folders, which outlive restarts.
 *
 * `promoted.json` in a checkpointer's folder: it is the coordinator now.
 * `fenced.json` in a coordinator's folder: another one was promoted in its place; it serves nothing (Q3 of
 * coordinator-pipeline.ts).
 */
import fs from 'node:fs';
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';

export interface Mark {
  readonly term: number;
  /** ISO time, for people. */
  readonly at: string;
  readonly reason: string;
}

/** A server's own folder. */
export function serverFolder(rootFolder: string, dataFolder: string, serverId: string): string {
  return path.resolve(rootFolder, dataFolder, serverId);
}

export function isPromoted(folder: string): boolean {
  return fs.existsSync(path.join(folder, 'promoted.json'));
}

export function markPromoted(folder: string, mark: Mark): void {
  write(path.join(folder, 'promoted.json'), mark);
}

export function markFenced(folder: string, mark: Mark): void {
  write(path.join(folder, 'fenced.json'), mark);
}

/** @throws PlatformError COORDINATOR_FENCED when this coordinator was replaced */
export function requireNotFenced(folder: string): void {
  const file = path.join(folder, 'fenced.json');
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw thrown;
  }
  throw fenced(file, text.trim());
}

function fenced(file: string, why: string): PlatformError {
  const detail = `Expected the cluster's coordinator, this one was replaced (${file}: ${why.slice(0, 300)}). Stop it. To use its machine again, empty its folder and make it the checkpointer.`;
  return new PlatformError('COORDINATOR_FENCED', detail);
}

/** Whole or not at all, and there for good once this returns: written beside it, synced, renamed, the folder synced. */
function write(file: string, mark: Mark): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const handle = fs.openSync(`${file}.tmp`, 'w', 0o600);
  try {
    fs.writeSync(handle, `${JSON.stringify(mark)}\n`);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
  fs.renameSync(`${file}.tmp`, file);
  const folder = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(folder);
  } finally {
    fs.closeSync(folder);
  }
}
