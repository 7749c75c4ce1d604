/** Programs that benchmarks run beside Trunkline: which are here, and how to get the others. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** Each program, its Debian package, and what cannot be measured without it. */
export const PEER_PROGRAMS = {
  wrk: { debianPackage: 'wrk', without: 'nothing is measured: it makes the load' },
  nginx: { debianPackage: 'nginx', without: 'route goes without the rows of nginx → nginx' },
  haproxy: { debianPackage: 'haproxy', without: 'route goes without the rows of HAProxy → HAProxy' },
  mariadbd: { debianPackage: 'mariadb-server-core', without: 'read and write go without the rows of MariaDB' },
} as const;

export type PeerProgram = keyof typeof PEER_PROGRAMS;

/** Debian keeps servers in sbin, which is often not on a user's PATH. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/opt/homebrew/bin', '/usr/local/bin'];

/** @returns its path; undefined when it is not here */
export function findProgram(name: string, searchPath: string = process.env['PATH'] ?? ''): string | undefined {
  return [...searchPath.split(path.delimiter), ...SERVER_FOLDERS]
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file));
}

/** @returns lines that say what is missing, what that costs and how to install it; none when all are here */
export function missingPeerLines(isHere: (program: PeerProgram) => boolean): string[] {
  const missing = (Object.keys(PEER_PROGRAMS) as PeerProgram[]).filter((program) => !isHere(program));
  if (missing.length === 0) return [];
  const packages = missing.map((program) => PEER_PROGRAMS[program].debianPackage);
  return [
    ...missing.map((program) => `${program} is missing: ${PEER_PROGRAMS[program].without}`),
    `to install on Debian: apt-get install --no-install-recommends ${packages.join(' ')}`,
  ];
}

/** @returns e.g. `1.22.1`; `?` when it does not say */
export function versionOf(program: PeerProgram): string {
  const file = findProgram(program);
  if (file === undefined) return '?';
  const flag = program === 'mariadbd' ? '--version' : '-v';
  try {
    // nginx says it on stderr, wrk says it with exit code 1.
    const said = execFileSync('/bin/sh', ['-c', '"$0" "$1" 2>&1 || true', file, flag], { encoding: 'utf8' });
    return /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? '?';
  } catch {
    return '?';
  }
}
