/**
 * The MySQL replica tests need a MariaDB server's program. Where it is missing and may be installed (Debian, as root or
 * with password-less sudo) it is: Debian's package of the server's core, which starts no service.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { findProgram } from './peer-programs.ts';

const run = promisify(execFile);
const INSTALL_MS_MAX = 120_000;
const PACKAGE = 'mariadb-server-core';

/** @returns path of the server's program; undefined when there is none */
export function findMariadbServer(searchPath?: string): string | undefined {
  return findProgram('mariadbd', searchPath);
}

/** Installs it where it is missing and that is possible; otherwise says which tests will be skipped, and the remedy. */
export async function ensureMariadbServer(say: (line: string) => void): Promise<void> {
  if (findMariadbServer() !== undefined) return;
  const prefix = await rootCommand();
  if (prefix === undefined) {
    say(
      `MariaDB is not installed: the tests of MySQL replicas will be skipped. To run them: apt-get install ${PACKAGE}`,
    );
    return;
  }
  say(`installing ${PACKAGE} for the tests of MySQL replicas (it starts no service)`);
  try {
    await installWith(prefix);
  } catch (error) {
    const words = String((error as { stderr?: string }).stderr ?? error).trim();
    say(`could not install it: ${words.split('\n').at(-1)}. The tests of MySQL replicas will be skipped`);
  }
}

/** What to put before apt-get; undefined when this user may not, or there is no apt-get. */
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

async function installWith(prefix: readonly string[]): Promise<void> {
  const aptGet = async (...args: string[]): Promise<void> => {
    const [program = '', ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', ...args];
    await run(program, rest, { timeout: INSTALL_MS_MAX });
  };
  const install = (): Promise<void> => aptGet('install', '-y', '--no-install-recommends', PACKAGE);
  try {
    await install();
  } catch {
    await aptGet('update'); // a fresh machine has no package lists yet
    await install();
  }
}
