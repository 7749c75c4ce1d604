/** CPU time that processes have used, from /proc (Linux). */
import { readFileSync } from 'node:fs';

/** A clock tick of /proc is 10 ms on every Linux that matters. */
const MICROS_PER_CLOCK_TICK = 10_000;

/** User and system time of all of them together, µs. */
export function cpuMicros(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold spaces
    return sum + (Number(fields[11]) + Number(fields[12])) * MICROS_PER_CLOCK_TICK;
  }, 0);
}
