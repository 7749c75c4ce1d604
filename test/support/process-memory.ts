/** What a process of this machine holds in memory, as the kernel counts it. */
import fs from 'node:fs';

const KIB = 1024;

/** Resident now, in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** Most that was resident since `forgetPeak`, in bytes. */
export function residentPeakBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM');
}

/** From here on the peak is counted anew. */
export function forgetPeak(pid: number): void {
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function statusBytes(pid: number, name: string): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return Number(kib) * KIB;
}
