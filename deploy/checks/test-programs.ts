/**
 * Programs that tests start beside our own, each from a Debian package. Where one is missing and may be installed
 * (Debian, as root or with password-less sudo) it is; elsewhere its tests are skipped, and what to install is said.
 *
 * P1: installing a package for its program starts no service, now or at the next start of the machine.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { findProgram } from './peer-programs.ts';

const run = promisify(execFile);
const INSTALL_MS_MAX = 180_000;

export interface TestProgram {
  readonly program: string;
  readonly debianPackage: string;
  /** The service that the package would enable; '' when it brings none. */
  readonly service: string;
  readonly testsOf: string;
}

export const TEST_PROGRAMS = {
  mariadb: {
    program: 'mariadbd',
    debianPackage: 'mariadb-server-core',
    service: '',
    testsOf: 'MySQL replicas',
  },
  nginx: { program: 'nginx', debianPackage: 'nginx', service: 'nginx', testsOf: 'clusters behind nginx' },
  etcd: { program: 'etcd', debianPackage: 'etcd-server', service: 'etcd', testsOf: 'coordinators on etcd' },
  prlimit: { program: 'prlimit', debianPackage: 'util-linux', service: '', testsOf: 'coordinators without room' },
  haproxy: { program: 'haproxy', debianPackage: 'haproxy', service: 'haproxy', testsOf: 'clusters behind HAProxy' },
} as const satisfies Readonly<Record<string, TestProgram>>;

/** @returns why tests that need it are skipped; false when it is here, or when it must be: a skip fails in CI anyway */
export function skipReason({ program, debianPackage }: TestProgram): string | false {
  if (findProgram(program) !== undefined || process.env['CI'] !== undefined) return false;
  return `${program} is not installed; run: sudo apt-get install --no-install-recommends ${debianPackage}`;
}

/** @throws Error that says what to install */
export function requireProgram({ program, debianPackage }: TestProgram): string {
  const file = findProgram(program);
  if (file === undefined)
    throw new Error(
      `expected ${program} on this machine; run: sudo apt-get install --no-install-recommends ${debianPackage}`,
    );
  return file;
}

/** Installs what is missing where that is possible; otherwise says which tests will be skipped, and the remedy. */
export async function ensureTestPrograms(
  say: (line: string) => void,
  wanted: readonly TestProgram[] = Object.values(TEST_PROGRAMS),
): Promise<void> {
  const missing = wanted.filter(({ program }) => findProgram(program) === undefined);
  if (missing.length === 0) return;
  const packages = missing.map(({ debianPackage }) => debianPackage).join(' ');
  const skipped = `the tests of ${missing.map(({ testsOf }) => testsOf).join(' and of ')} will be skipped`;
  const prefix = await rootCommand();
  if (prefix === undefined) {
    say(`not installed here: ${packages}; ${skipped}. To run them: apt-get install ${packages}`);
    return;
  }
  say(`installing ${packages} for tests (no service is started)`);
  try {
    await installWith(prefix, missing);
  } catch (error) {
    const words = String((error as { stderr?: string }).stderr ?? error).trim();
    say(`could not install: ${words.split('\n').at(-1)}; ${skipped}`);
  }
}

/** What to put before a command of root's; undefined when this user may not, or there is no apt-get. */
async function rootCommand(): Promise<string[] | undefined> {
  if (!fs.existsSync('/usr/bin/apt-get')) return undefined;
  if (process.getuid?.() === 0) return [];
  try {
    await run('sudo', ['-n', 'true']);
    return ['sudo', '-n'];
  } catch {
    return undefined;
  }
}

/**
 * P1. $1: services, $2: packages. A policy-rc.d that answers 101 is Debian's way to say that no package may start a
 * service; one that is there already stays. A fresh machine has no package lists yet.
 */
const INSTALL_SCRIPT = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
install() { apt-get -qq install -y --no-install-recommends $2; }
export DEBIAN_FRONTEND=noninteractive
install "$@" || { apt-get -qq update && install "$@"; } || exit 1
for service in $1; do
  if command -v systemctl >/dev/null; then systemctl --quiet disable "$service" || true; fi
done
`;

async function installWith(prefix: readonly string[], missing: readonly TestProgram[]): Promise<void> {
  const services = missing.map(({ service }) => service).join(' ');
  const packages = missing.map(({ debianPackage }) => debianPackage).join(' ');
  const [program = '', ...rest] = [...prefix, 'sh', '-c', INSTALL_SCRIPT, 'sh', services, packages];
  await run(program, rest, { timeout: INSTALL_MS_MAX });
}
