/** A real MariaDB server for tests: own data folder, loopback port, no system configuration, stopped by pid. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { type Connection, createConnection } from 'mysql2';
import { requireProgram, skipReason, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-ports.ts';
import { GuardedProcess } from './guarded-process.ts';

/** Where its own SQL for a new data folder lies, under either of its names. */
const SHARE_FOLDERS = ['/usr/share/mysql', '/usr/share/mariadb', '/usr/local/share/mysql', '/usr/local/share/mariadb'];

const START_TIMEOUT_MS = 15_000;

const ACCOUNTS_SQL = `CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'tester';
GRANT ALL ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION;
`;

export const MARIADB_COLLATION = 'utf8mb4_nopad_bin';

export interface Mariadb {
  readonly host: string;
  readonly port: number;
  /** Of the server's process. */
  readonly pid: number;
  /** May do everything. */
  readonly user: string;
  readonly password: string;
  /** Runs statements as that user, without a database. */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Runs statements one after another on one connection, then drops it. */
  script(statements: readonly string[]): Promise<void>;
  /** Ends it cleanly and removes its data. */
  stop(): Promise<void>;
  /** kill -9; its data stays for `start`. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
}

/** Name for a skipped test, or false when MariaDB is here, or when it must be (CI). */
export function mariadbSkipReason(): string | false {
  return skipReason(TEST_PROGRAMS.mariadb);
}

/** @param options more options for mariadbd, e.g. `--innodb-flush-log-at-trx-commit=2` */
export async function startMariadb(options: readonly string[] = []): Promise<Mariadb> {
  const program = requireProgram(TEST_PROGRAMS.mariadb);
  const folder = await mkdtemp(path.join(tmpdir(), 'trunkline-mariadb-'));
  try {
    await cp(await dataTemplate(program), path.join(folder, 'data'), { recursive: true });
    const server = new MariadbServer(program, folder, await freePort(), options);
    await server.start();
    return server;
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    throw thrown;
  }
}

class MariadbServer implements Mariadb {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly user = 'tester';
  readonly password = 'tester';
  readonly #program: string;
  readonly #folder: string;
  readonly #options: readonly string[];
  #process: GuardedProcess | undefined;

  constructor(program: string, folder: string, port: number, options: readonly string[]) {
    this.#program = program;
    this.#folder = folder;
    this.port = port;
    this.#options = options;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async start(): Promise<void> {
    const server = await GuardedProcess.start(this.#program, this.#arguments());
    this.#process = server;
    await eventually(
      'MariaDB answers',
      async () => {
        if (server.hasEnded) throw new Error(`MariaDB ended while starting:\n${await this.#errorLog()}`);
        return this.query('SELECT 1').catch(() => false);
      },
      START_TIMEOUT_MS,
    );
  }

  async query(sql: string, database?: string): Promise<Record<string, unknown>[]> {
    const { host, port, user, password } = this;
    const place = { host, port, user, password, ...(database === undefined ? {} : { database }) };
    const connection = createConnection({ ...place, supportBigNumbers: true, charset: 'utf8mb4_bin' });
    try {
      return await ask(connection, sql);
    } finally {
      connection.destroy();
    }
  }

  async script(statements: readonly string[]): Promise<void> {
    const { host, port, user, password } = this;
    const connection = createConnection({ host, port, user, password });
    try {
      for (const sql of statements) await ask(connection, sql);
    } finally {
      connection.destroy();
    }
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#process?.end(signal);
    this.#process = undefined;
  }

  #arguments(): string[] {
    return [
      '--no-defaults',
      `--user=${userInfo().username}`,
      `--datadir=${path.join(this.#folder, 'data')}`,
      `--socket=${path.join(this.#folder, 'socket')}`,
      `--pid-file=${path.join(this.#folder, 'pid')}`,
      `--log-error=${path.join(this.#folder, 'error.log')}`,
      `--bind-address=${this.host}`,
      `--port=${this.port}`,
      `--init-file=${path.join(this.#folder, 'data', 'accounts.sql')}`,
      '--skip-log-bin',
      '--skip-name-resolve',
      '--innodb-buffer-pool-size=16M',
      '--innodb-log-file-size=8M',
      '--key-buffer-size=1M',
      '--performance-schema=OFF',
      '--max-connections=60',
      ...this.#options,
    ];
  }

  #errorLog(): Promise<string> {
    return readFile(path.join(this.#folder, 'error.log'), 'utf8').catch(() => '(no log)');
  }
}

function ask(connection: Connection, sql: string): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    connection.on('error', reject);
    connection.query(sql, (error: unknown, rows: unknown) => {
      if (error === null) resolve(Array.isArray(rows) ? (rows as Record<string, unknown>[]) : []);
      else reject(error);
    });
  });
}

/**
 * A new data folder, made once per machine and then copied. What mariadb-install-db does, without the client programs
 * that it wants and that Debian's mariadb-server-core does not bring.
 */
async function dataTemplate(program: string): Promise<string> {
  const { username } = userInfo();
  const template = path.join(tmpdir(), `trunkline-mariadb-template-1-${username}`);
  if (existsSync(template)) return template;
  const aside = await mkdtemp(`${template}-`);
  const data = path.join(aside, 'data');
  try {
    await mkdir(data);
    await bootstrap(program, username, data);
    await writeFile(path.join(data, 'accounts.sql'), ACCOUNTS_SQL);
    // Whole or absent; another process may have been faster.
    await rename(data, template).catch((thrown: unknown) => {
      if (!existsSync(template)) throw thrown;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return template;
}

async function bootstrap(program: string, username: string, data: string): Promise<void> {
  const tables = await Promise.all(['system_tables', 'system_tables_data'].map(readShared));
  const options = [
    '--no-defaults',
    '--bootstrap',
    `--user=${username}`,
    `--datadir=${data}`,
    '--innodb-log-file-size=8M',
  ];
  const child = spawn(program, [...options, '--skip-log-bin', '--log-warnings=0'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let problems = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    problems = (problems + text).slice(-4_000);
  });
  child.stdin.end(`CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n${tables.join('\n')}`);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`MariaDB could not make a data folder:\n${problems}`);
}

async function readShared(name: string): Promise<string> {
  const names = SHARE_FOLDERS.flatMap((folder) => ['mysql', 'mariadb'].map((kind) => `${folder}/${kind}_${name}.sql`));
  const file = names.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error(`expected MariaDB's ${name}.sql in one of ${SHARE_FOLDERS.join(', ')}`);
  return readFile(file, 'utf8');
}
