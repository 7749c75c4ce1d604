/**
 * One connection to one SQLite file, inside a worker thread: settings, cached statements, values, errors.
 * Door to node:sqlite. Everything here is synchronous.
 *
 * F1: a file that was removed or replaced while open is an error, not a database: writes to it would be lost and reads
 *     from it old.
 * F2: integers are bound as integers. node:sqlite binds every number as a float, which `?/2` and text columns show.
 */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import type { Clock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import { READ_ROWS_MAX, STATEMENT_CACHE_MAX } from './limits.ts';
import type { Row, SqlValue } from './replica.ts';

/** Page cache of one connection, at most; small because every replica has two connections in each app server. */
const CACHE_KIB = 4_096;

/** A write-ahead log longer than this is cut back after a checkpoint. */
const WAL_BYTES_KEPT = 16 * 1024 * 1024;

/** Opening may meet another process that is opening or recovering the same file. */
const OPEN_WAIT_MS = 3_000;

/** How often F1 is checked: a look at the file costs some microseconds. */
const FILE_CHECK_MS = 50;

/** Primary result codes (https://sqlite.org/rescode.html) that say the statement, not the database, is at fault. */
const STATEMENT_CODES: ReadonlySet<number> = new Set([1 /* ERROR */, 18 /* TOOBIG */, 19 /* CONSTRAINT */, 20, 25]);
const BUSY_CODES: ReadonlySet<number> = new Set([5 /* BUSY */, 6 /* LOCKED */]);

interface CachedStatement {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
  /** It once met an integer beyond 2^53; until then rows are read the fast way. */
  bigInts: boolean;
}

export class SqliteFile {
  readonly path: string;
  readonly #clock: Clock;
  readonly #db: DatabaseSync;
  readonly #inode: string;
  readonly #statements = new Map<string, CachedStatement>();
  #checkedAtMs = -Infinity;

  constructor(file: string, role: 'writer' | 'reader', clock: Clock) {
    this.path = file;
    this.#clock = clock;
    try {
      // A reader never makes a file: one that is missing is an error (F1), not an empty database.
      const readOnly = role === 'reader';
      if (!readOnly) mkdirSync(path.dirname(file), { recursive: true });
      this.#db = new DatabaseSync(file, { timeout: OPEN_WAIT_MS, readOnly, enableForeignKeyConstraints: true });
      this.#db.exec(settings(role));
      this.#inode = inodeOf(file);
    } catch (thrown) {
      throw sqliteError(thrown, file, '');
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  query(sql: string, params: readonly SqlValue[]): Row[] {
    const cached = this.#prepare(sql);
    if (!cached.returnsRows)
      throw new PlatformError('STATEMENT_FAILED', `expected a statement that returns rows: ${brief(sql)}`);
    try {
      return rowsOf(cached, params);
    } catch (thrown) {
      if (!cached.bigInts && (thrown as { code?: string }).code === 'ERR_OUT_OF_RANGE') {
        cached.bigInts = true;
        cached.statement.setReadBigInts(true);
        return this.query(sql, params);
      }
      throw sqliteError(thrown, this.path, sql);
    }
  }

  /** @returns rows affected */
  execute(sql: string, params: readonly SqlValue[]): number {
    const { statement } = this.#prepare(sql);
    try {
      return Number(statement.run(...params.map(toSqlite)).changes);
    } catch (thrown) {
      throw sqliteError(thrown, this.path, sql);
    }
  }

  /** Statements of the platform's own, without parameters or rows. */
  exec(sql: string): void {
    try {
      this.#db.exec(sql);
    } catch (thrown) {
      throw sqliteError(thrown, this.path, sql);
    }
  }

  /** F1. @throws PlatformError STORE_UNAVAILABLE */
  checkFile(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#checkedAtMs < FILE_CHECK_MS) return;
    if (inodeOf(this.path) !== this.#inode) {
      throw new PlatformError(
        'STORE_UNAVAILABLE',
        `${this.path} was removed or replaced while it was open: put it back or take it away for good, then restart every app server of its group`,
      );
    }
    this.#checkedAtMs = nowMs;
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #prepare(sql: string): CachedStatement {
    let cached = this.#statements.get(sql);
    if (cached !== undefined) return cached;
    try {
      const statement = this.#db.prepare(sql);
      cached = { statement, returnsRows: statement.columns().length > 0, bigInts: false };
    } catch (thrown) {
      throw sqliteError(thrown, this.path, sql);
    }
    if (this.#statements.size >= STATEMENT_CACHE_MAX) {
      const oldest = this.#statements.keys().next().value;
      if (oldest !== undefined) this.#statements.delete(oldest);
    }
    this.#statements.set(sql, cached);
    return cached;
  }
}

function settings(role: 'writer' | 'reader'): string {
  // WAL: readers and the writer do not wait for each other. FULL: a commit is on disk before it is acknowledged.
  const cache = `PRAGMA cache_size = -${CACHE_KIB};`;
  if (role === 'reader') return cache;
  return `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${cache} PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}; PRAGMA busy_timeout = 0;`;
}

function inodeOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats === undefined ? 'none' : `${stats.dev}:${stats.ino}`;
}

function rowsOf(cached: CachedStatement, params: readonly SqlValue[]): Row[] {
  const rows: Row[] = [];
  for (const row of cached.statement.iterate(...params.map(toSqlite))) {
    if (rows.length === READ_ROWS_MAX) {
      throw new PlatformError('STATEMENT_FAILED', `expected at most ${READ_ROWS_MAX} rows, more came: add LIMIT`);
    }
    rows.push((cached.bigInts ? narrowed(row as Record<string, SQLOutputValue>) : row) as Row);
  }
  return rows;
}

function narrowed(row: Record<string, SQLOutputValue>): Record<string, SQLOutputValue> {
  for (const [column, value] of Object.entries(row)) {
    if (typeof value === 'bigint' && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) {
      row[column] = Number(value);
    }
  }
  return row;
}

function toSqlite(value: SqlValue): SQLInputValue {
  if (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0)) return BigInt(value); // F2
  return value as SQLInputValue;
}

function sqliteError(thrown: unknown, file: string, sql: string): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  const { message, errcode } = thrown as { message?: string; errcode?: number };
  const text = message ?? String(thrown);
  const where = sql === '' ? '' : ` (${brief(sql)})`;
  const primary = errcode === undefined ? undefined : errcode & 0xff;
  if (primary !== undefined && BUSY_CODES.has(primary)) {
    return new PlatformError('STORE_BUSY', `${path.basename(file)} is locked by another writer: ${text}`, {
      cause: thrown,
    });
  }
  // Without a result code it is node:sqlite that refused: wrong parameters.
  if (sql !== '' && (primary === undefined || STATEMENT_CODES.has(primary))) {
    return new PlatformError('STATEMENT_FAILED', `${text}${where}`, { cause: thrown });
  }
  return new PlatformError('STORE_UNAVAILABLE', `${file}: ${text}${where}; check the disk and the file's permissions`, {
    cause: thrown,
  });
}

function brief(sql: string): string {
  return sql.replace(/\s+/g, ' ').trim().slice(0, 120);
}
