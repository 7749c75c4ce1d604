/**
 * Keeps a journal's folder to one process: `<n>.lock` with the process's id and the instant it started. It is left behind
 * by a `kill -9`, and then stands in nobody's way.
 *
 * L1: of the locks in the folder the one with the highest number counts. Who finds its holder dead takes the next number,
 *     which only one process can: so two that find the same dead holder at once never both get in.
 */
import fs from 'node:fs';
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';

interface Holder {
  readonly pid: number;
  /** Start instant as the system counts it; '' where it cannot be known (no /proc). */
  readonly startedAt: string;
}

const NAME = /^(\d{1,15})\.lock$/;

/** Each try finds another process that came in between; so many in a row do not happen. */
const TRIES_MAX = 100;

/** Folders this process holds: its own pid would look alive, and a second journal is as wrong as a second process. */
const held = new Set<string>();

export class JournalLock {
  readonly #folder: string;
  readonly #file: string;

  private constructor(folder: string, file: string) {
    this.#folder = folder;
    this.#file = file;
  }

  /** @throws PlatformError USAGE when another process, or this one, has the journal open */
  static take(folder: string): JournalLock {
    const resolved = path.resolve(folder);
    if (held.has(resolved)) throw inUse(resolved, process.pid);
    fs.mkdirSync(resolved, { recursive: true, mode: 0o700 });
    const own = path.join(resolved, `${process.pid}.lock.tmp`);
    fs.writeFileSync(own, JSON.stringify(holderOf(process.pid)));
    try {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const file = tryNext(resolved, own);
        if (file === undefined) continue;
        held.add(resolved);
        return new JournalLock(resolved, file);
      }
    } finally {
      fs.rmSync(own, { force: true });
    }
    throw new PlatformError('USAGE', `The lock of ${resolved} was taken by others ${TRIES_MAX} times over: stop them.`);
  }

  release(): void {
    held.delete(this.#folder);
    fs.rmSync(this.#file, { force: true });
  }
}

/** @returns the lock's file; undefined: somebody came in between */
function tryNext(folder: string, own: string): string | undefined {
  const before = lockNumbers(folder);
  const highest = before.at(-1) ?? 0;
  const holder = livingHolder(lockPath(folder, highest));
  if (holder !== undefined) throw inUse(folder, holder);
  const file = lockPath(folder, highest + 1);
  try {
    fs.linkSync(own, file); // L1: whole or not at all, and only where there is none
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
  if (lockNumbers(folder).at(-1) !== highest + 1) {
    fs.rmSync(file, { force: true }); // L1: the number was one of long ago
    return undefined;
  }
  for (const number of before) fs.rmSync(lockPath(folder, number), { force: true });
  return file;
}

function lockNumbers(folder: string): number[] {
  return fs
    .readdirSync(folder)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

function lockPath(folder: string, number: number): string {
  return path.join(folder, `${number}.lock`);
}

function inUse(folder: string, pid: number): PlatformError {
  const detail = `${folder} is the journal of a process that runs (${pid}): expected no other. Stop that one first, or use another folder.`;
  return new PlatformError('USAGE', detail);
}

function livingHolder(file: string): number | undefined {
  let holder: Holder;
  try {
    holder = JSON.parse(fs.readFileSync(file, 'utf8')) as Holder;
  } catch {
    return undefined; // absent
  }
  if (holder.pid === process.pid) return undefined; // of an earlier process with this number; `held` knows our own
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  return holder.startedAt === '' || holder.startedAt === holderOf(holder.pid).startedAt ? holder.pid : undefined;
}

function holderOf(pid: number): Holder {
  try {
    const bootId = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in brackets and may hold spaces; the start time is the 22nd field.
    const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
    return { pid, startedAt: `${bootId} ${startTicks}` };
  } catch {
    return { pid, startedAt: '' };
  }
}
