/** A real MariaDB server for tests: own data folder, loopback port, no system configuration, stopped by pid. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { type Connection, createConnection } from 'mysql2';
import { requireProgram, skipReason, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { GuardedProcess } from '../../deploy/local-cluster/guarded-process.ts';
import { ensureMariadbDataFolder } from '../../deploy/local-cluster/mariadb-data-folder.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-ports.ts';

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
    await writeFile(path.join(folder, 'accounts.sql'), ACCOUNTS_SQL);
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
      `--init-file=${path.join(this.#folder, 'accounts.sql')}`,
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

/** A new data folder, made once per machine and then copied. */
async function dataTemplate(program: string): Promise<string> {
  const template = path.join(tmpdir(), `trunkline-mariadb-template-2-${userInfo().username}`);
  await ensureMariadbDataFolder(program, template);
  return template;
}
