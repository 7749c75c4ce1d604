/** CPU time and memory of processes, from /proc (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** A clock tick of /proc is 10 ms on every Linux that matters. */
const MICROS_PER_CLOCK_TICK = 10_000;
const KIB_PER_MIB = 1024;

/** User and system time of all of them together, µs. */
export function cpuMicros(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = statFields(pid);
    return sum + (Number(fields[11]) + Number(fields[12])) * MICROS_PER_CLOCK_TICK;
  }, 0);
}

/** Resident memory of all of them together, KiB; what they share counts for each. */
export function rssKib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return sum + Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  }, 0);
}

export function rssMiB(pids: readonly number[]): number {
  return rssKib(pids) / KIB_PER_MIB;
}

/** A process, its children, and theirs: a server may have workers. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      parents.set(Number(name), Number(statFields(Number(name))[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const tree = [pid];
  for (const member of tree) for (const [child, parent] of parents) if (parent === member) tree.push(child);
  return tree;
}

/** From the third on: state, parent, …; the name before them may hold spaces. */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
