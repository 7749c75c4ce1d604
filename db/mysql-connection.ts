/**
 * Door to mysql2: one connection to a MySQL or MariaDB server, with our settings, values and errors.
 *
 * Y1: every statement has a time limit; when it passes, the connection is destroyed and its outcome is unknown.
 * Y2: integers are sent as integers (mysql2 would send every number as a float), and come back as numbers when safe,
 *     else as bigints. A DECIMAL without a fraction, which is what SUM makes of BIGINT, is an integer too.
 */
import type { Connection, FieldPacket } from 'mysql2';
import type { Clock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import { requirePackage } from '../shared/require-package.ts';
import { STATEMENT_CACHE_MAX } from './limits.ts';
import type { Row, SqlValue } from './replica.ts';

const mysql2 = requirePackage('mysql2') as typeof import('mysql2');

const CONNECT_TIMEOUT_MS = 2_000;
const CONTROL_TIMEOUT_MS = 4_000;
const CLOSE_TIMEOUT_MS = 500;

/** A lock is waited for this long; the other transaction may itself be waiting for a replica. */
const LOCK_WAIT_SECONDS = 2;

/** Portable SQL as SQLite reads it ("name" quotes a name, || joins), and no silently cut values. */
const SQL_MODE =
  'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES';

/** Column types (https://mariadb.com/kb/en/result-set-packets/). */
const LONGLONG = 8;
const NEWDECIMAL = 246;

/** ER_LOCK_DEADLOCK, ER_CHECKREAD, ER_XA_RBDEADLOCK, ER_XA_RBTIMEOUT: the server has undone the whole transaction. */
const LOST_ERRORS: ReadonlySet<number> = new Set([1213, 1020, 1614, 1613]);
/** ER_LOCK_WAIT_TIMEOUT undoes only the statement. */
const BUSY_ERRORS: ReadonlySet<number> = new Set([1205, ...LOST_ERRORS]);
/** Disk full, too many connections, shutdown, read-only, killed, no privilege on the server's side, … */
const SERVER_ERRORS: ReadonlySet<number> = new Set([
  3, 1021, 1026, 1030, 1037, 1040, 1044, 1045, 1049, 1053, 1114, 1203, 1290, 1317, 1836, 1927, 1969, 3024,
]);

export interface MysqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface MysqlResult {
  readonly rows: Row[];
  /** Rows matched by the statement, changed or not. */
  readonly changes: number;
  readonly insertId: number;
}

/** Extra facts about a failed statement, in `PlatformError.cause`. */
interface MysqlCause {
  readonly errno: number;
  readonly lost: boolean;
}

/** Whether a failed statement undid its transaction. */
export function lostItsTransaction(error: PlatformError): boolean {
  return (error.cause as Partial<MysqlCause> | undefined)?.lost === true;
}

/** The server's error number, 0 when there is none. */
export function errorNumber(thrown: unknown): number {
  return thrown instanceof PlatformError ? ((thrown.cause as Partial<MysqlCause> | undefined)?.errno ?? 0) : 0;
}

export class MysqlConnection {
  /** CONNECTION_ID() */
  readonly id: number;
  readonly #connection: Connection;
  readonly #name: string;
  readonly #clock: Clock;
  #open = true;

  private constructor(connection: Connection, name: string, clock: Clock) {
    this.#connection = connection;
    this.#name = name;
    this.#clock = clock;
    this.id = connection.threadId ?? 0;
    connection.on('error', () => {
      this.#open = false;
    });
    connection.on('end', () => {
      this.#open = false;
    });
  }

  /** @throws PlatformError STORE_UNAVAILABLE */
  static async connect(address: MysqlAddress, role: 'writer' | 'reader', clock: Clock): Promise<MysqlConnection> {
    const name = `${address.host}:${address.port}/${address.database}`;
    const connection = mysql2.createConnection({
      ...address,
      charset: 'utf8mb4_bin',
      connectTimeout: CONNECT_TIMEOUT_MS,
      supportBigNumbers: true,
      dateStrings: true,
      jsonStrings: true,
      maxPreparedStatements: STATEMENT_CACHE_MAX,
      flags: ['FOUND_ROWS'],
    });
    await new Promise<void>((resolve, reject) => {
      connection.once('error', reject);
      connection.connect((error) => (error === null ? resolve() : reject(error)));
    }).catch((thrown: unknown) => {
      connection.on('error', () => undefined);
      connection.destroy();
      throw mysqlError(thrown, name, '');
    });
    const made = new MysqlConnection(connection, name, clock);
    for (const statement of settings(role)) await made.text(statement);
    return made;
  }

  get open(): boolean {
    return this.#open;
  }

  /** A prepared statement. */
  run(sql: string, params: readonly SqlValue[], timeoutMs: number): Promise<MysqlResult> {
    return this.#perform(sql, timeoutMs, (done) => this.#connection.execute(sql, params.map(toMysql), done));
  }

  /** Says goodbye; a server that does not answer is not waited for. */
  close(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    this.#open = false;
    return new Promise((resolve) => {
      const timer = this.#clock.after(CLOSE_TIMEOUT_MS, () => {
        this.#connection.destroy();
        resolve();
      });
      this.#connection.end(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** For statements that cannot be prepared: XA, SAVEPOINT, SET, KILL. */
  text(sql: string, timeoutMs: number = CONTROL_TIMEOUT_MS): Promise<MysqlResult> {
    return this.#perform(sql, timeoutMs, (done) => this.#connection.query(sql, done));
  }

  destroy(): void {
    this.#open = false;
    this.#connection.destroy();
  }

  #perform(
    sql: string,
    timeoutMs: number,
    start: (done: (error: unknown, rows: unknown, fields?: FieldPacket[]) => void) => unknown,
  ): Promise<MysqlResult> {
    return new Promise((resolve, reject) => {
      if (!this.#open) {
        reject(mysqlError(new Error('the connection is closed'), this.#name, sql));
        return;
      }
      const timer = this.#clock.after(timeoutMs, () => {
        this.destroy(); // Y1
        reject(mysqlError(new Error(`no answer within ${Math.round(timeoutMs)} ms`), this.#name, sql));
      });
      start((error, rows, fields) => {
        timer.cancel();
        if (error === null || error === undefined) resolve(resultOf(rows, fields));
        else {
          if ((error as { fatal?: boolean }).fatal === true) this.destroy();
          reject(mysqlError(error, this.#name, sql));
        }
      });
    });
  }
}

/** Isolation: READ COMMITTED would be unsafe for replay: a repeated statement may find other rows. */
function settings(role: 'writer' | 'reader'): string[] {
  const access = role === 'reader' ? 'READ ONLY' : 'READ WRITE';
  return [
    `SET SESSION sql_mode = '${SQL_MODE}', SESSION innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS}, SESSION time_zone = '+00:00', SESSION auto_increment_increment = 1, collation_connection = @@collation_database`,
    `SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, ${access}`,
  ];
}

function resultOf(rows: unknown, fields: FieldPacket[] | undefined): MysqlResult {
  if (!Array.isArray(rows)) {
    const header = rows as { affectedRows?: number; insertId?: number };
    return { rows: [], changes: header.affectedRows ?? 0, insertId: header.insertId ?? 0 };
  }
  const whole = (fields ?? []).filter(isWhole).map(({ name }) => name);
  for (const row of rows as Row[]) {
    for (const name of whole) {
      const value = row[name];
      if (typeof value === 'string') row[name] = safeInteger(BigInt(value)); // Y2
    }
  }
  return { rows: rows as Row[], changes: 0, insertId: 0 };
}

function isWhole({ columnType, decimals }: FieldPacket): boolean {
  return columnType === LONGLONG || (columnType === NEWDECIMAL && decimals === 0);
}

function safeInteger(value: bigint): number | bigint {
  const safe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
  return safe ? Number(value) : value;
}

/** Y2 */
function toMysql(value: SqlValue): Parameters<Connection['execute']>[1] {
  if (
    typeof value === 'bigint' ||
    (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0))
  ) {
    return mysql2.TypedParameter.LONGLONG(value) as never;
  }
  if (value instanceof Uint8Array && !Buffer.isBuffer(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength) as never;
  }
  return value as never;
}

function mysqlError(thrown: unknown, name: string, sql: string): PlatformError {
  const { message, errno, sqlState } = thrown as { message?: string; errno?: number; sqlState?: string };
  const text = message ?? String(thrown);
  const statement = sql === '' ? '' : ` (${sql.replace(/\s+/g, ' ').trim().slice(0, 120)})`;
  // Without a SQL state it was not the server that spoke: the connection failed, or there was none.
  const fromServer = sqlState !== undefined && errno !== undefined && !SERVER_ERRORS.has(errno);
  const number = errno ?? 0;
  const cause: MysqlCause = { errno: number, lost: !fromServer || LOST_ERRORS.has(number) };
  if (fromServer && BUSY_ERRORS.has(number))
    return new PlatformError('STORE_BUSY', `${name}: ${text}${statement}`, { cause });
  if (fromServer) return new PlatformError('STATEMENT_FAILED', `${text}${statement}`, { cause });
  return new PlatformError('STORE_UNAVAILABLE', `${name}: ${text}${statement}`, { cause });
}
