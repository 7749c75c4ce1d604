/**
 * A new data folder for a MariaDB server: what mariadb-install-db does, without the client programs that it wants and
 * that Debian's mariadb-server-core does not bring.
 *
 * D1: a data folder is whole or absent: made aside, then renamed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';

/** Where its own SQL for a new data folder lies, under either of its names. */
const SHARE_FOLDERS = ['/usr/share/mysql', '/usr/share/mariadb', '/usr/local/share/mysql', '/usr/local/share/mariadb'];

const PROBLEMS_CHARS_MAX = 4_000;

/** Nobody but the system's own root, over the server's socket; no account without a password. */
const CLOSED_SQL = `DELETE FROM global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');
UPDATE global_priv SET Priv = JSON_SET(Priv, '$.plugin', 'unix_socket') WHERE User = 'root';
`;

/**
 * Makes a data folder, unless there is one. Several may try at once; one of theirs becomes it.
 * @throws PlatformError STORE_UNAVAILABLE with what MariaDB said
 */
export async function ensureMariadbDataFolder(program: string, folder: string): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(path.dirname(folder), { recursive: true });
  const aside = await mkdtemp(`${folder}-new-`);
  const data = path.join(aside, 'data');
  try {
    await mkdir(data);
    await bootstrap(program, data);
    await rename(data, folder).catch((thrown: unknown) => {
      if (!existsSync(folder)) throw thrown; // D1
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function bootstrap(program: string, data: string): Promise<void> {
  const tables = await Promise.all(['system_tables', 'system_tables_data'].map(readShared));
  const options = ['--no-defaults', '--bootstrap', `--user=${userInfo().username}`, `--datadir=${data}`];
  const child = spawn(program, [...options, '--innodb-log-file-size=8M', '--skip-log-bin', '--log-warnings=0'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let problems = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    problems = (problems + text).slice(-PROBLEMS_CHARS_MAX);
  });
  child.stdin.on('error', () => {}); // it has ended: its exit code says so
  child.stdin.end(
    `CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n${tables.join('\n')}\n${CLOSED_SQL}`,
  );
  const [code] = await once(child, 'close');
  if (code !== 0) throw new PlatformError('STORE_UNAVAILABLE', `MariaDB could not make a data folder:\n${problems}`);
}

async function readShared(name: string): Promise<string> {
  const names = SHARE_FOLDERS.flatMap((folder) => ['mysql', 'mariadb'].map((kind) => `${folder}/${kind}_${name}.sql`));
  const file = names.find((candidate) => existsSync(candidate));
  if (file !== undefined) return readFile(file, 'utf8');
  const detail = `expected MariaDB's ${name}.sql in one of ${SHARE_FOLDERS.join(', ')}: is mariadb-server-core whole?`;
  throw new PlatformError('STORE_UNAVAILABLE', detail);
}
