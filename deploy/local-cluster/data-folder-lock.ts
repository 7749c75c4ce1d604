/**
 * Says that a cluster runs on a data folder: `cluster.pid` with the process's id and the instant it started, so that a
 * number given to another process after a crash or a reboot is not taken for it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';

interface Owner {
  readonly pid: number;
  /** Start instant as the system counts it; '' where it cannot be known (no /proc). */
  readonly startedAt: string;
}

export class DataFolderLock {
  readonly #file: string;
  /** Whether a cluster ran here that did not stop in an orderly way: its servers may be ending just now. */
  readonly foundStale: boolean;

  private constructor(file: string, foundStale: boolean) {
    this.#file = file;
    this.foundStale = foundStale;
  }

  /** @throws PlatformError USAGE when a cluster runs on this folder */
  static take(dataFolder: string): DataFolderLock {
    fs.mkdirSync(dataFolder, { recursive: true });
    const file = lockFile(dataFolder);
    const foundStale = fs.existsSync(file);
    for (;;) {
      try {
        fs.writeFileSync(file, JSON.stringify(ownerOf(process.pid)), { flag: 'wx' });
        return new DataFolderLock(file, foundStale);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const runner = runningClusterPid(dataFolder);
      if (runner !== undefined) {
        const detail = `A cluster already runs on ${dataFolder} (process ${runner}). Stop it first: Ctrl-C there, or kill ${runner}.`;
        throw new PlatformError('USAGE', detail);
      }
      fs.rmSync(file, { force: true });
    }
  }

  release(): void {
    fs.rmSync(this.#file, { force: true });
  }
}

/** Process id of the cluster that runs on this data folder; undefined when none does. */
export function runningClusterPid(dataFolder: string): number | undefined {
  let owner: Owner;
  try {
    owner = JSON.parse(fs.readFileSync(lockFile(dataFolder), 'utf8')) as Owner;
  } catch {
    return undefined; // absent, or cut short by a crash
  }
  return isAlive(owner) ? owner.pid : undefined;
}

function lockFile(dataFolder: string): string {
  return path.join(dataFolder, 'cluster.pid');
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return owner.startedAt === '' || owner.startedAt === ownerOf(owner.pid).startedAt;
}

function ownerOf(pid: number): Owner {
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
