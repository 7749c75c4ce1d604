/**
 * The log that every replica keeps beside the data, `tl_log`: its tables, statements and the text form of entries.
 *
 * L1: `request_id` is unique, and a request's row is written in the same transaction as its data: it has one effect.
 * L2: the log keeps the newest LOG_KEEP_ENTRIES and everything younger than LOG_KEEP_MS. What happens past that bound: a
 *     request id older than the log is taken for new, and a replica that is further behind than the log reaches cannot
 *     catch up: it is out of service until it is replaced by a copy.
 */
import { PlatformError } from '../../shared/errors.ts';
import type { AppliedStatement, LogEntry, LoggedReply, LogHead, Row, SqlValue } from '../replica.ts';

/** Tables whose names start so are the platform's. */
export const OWN_TABLE_PREFIX = 'tl_';

/** seq is a rowid in SQLite: 1 more than the last one, no gaps, since writers take turns. */
// L1
export const SQLITE_LOG_TABLE = `CREATE TABLE IF NOT EXISTS tl_log (
  seq INTEGER PRIMARY KEY, xid TEXT NOT NULL, request_id TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,
  account TEXT NOT NULL, bucket INTEGER NOT NULL, fingerprint TEXT NOT NULL, statements TEXT NOT NULL,
  reply TEXT NOT NULL, at INTEGER NOT NULL) STRICT`;

/** Transactions run side by side on MySQL, so seq may have gaps and shows up out of order. */
export const MYSQL_LOG_TABLE = `CREATE TABLE IF NOT EXISTS tl_log (
  seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, xid VARCHAR(128) NOT NULL, request_id VARCHAR(191) NOT NULL,
  epoch BIGINT NOT NULL, account VARCHAR(256) NOT NULL, bucket INT NOT NULL, fingerprint VARCHAR(191) NOT NULL,
  statements LONGTEXT NOT NULL, reply LONGTEXT NOT NULL, at BIGINT NOT NULL,
  UNIQUE KEY tl_log_request (request_id), KEY tl_log_xid (xid)) ENGINE=InnoDB`;

export const LOG_COLUMNS = 'seq, xid, request_id, epoch, account, bucket, fingerprint, statements, reply, at';
const LOG_COLUMN_COUNT = 10;

/** One row's placeholders, `(?,?,…)`, times `rows`. */
export function insertLogSql(rows: number): string {
  const one = `(${Array(LOG_COLUMN_COUNT).fill('?').join(',')})`;
  return `INSERT INTO tl_log (${LOG_COLUMNS}) VALUES ${Array(rows).fill(one).join(',')}`;
}

export const LOG_HEAD_SQL = 'SELECT seq, xid, request_id FROM tl_log ORDER BY seq DESC LIMIT 1';
export const LOG_AT_SQL = 'SELECT seq, xid, request_id FROM tl_log WHERE seq = ?';
export const LOG_AFTER_SQL = `SELECT ${LOG_COLUMNS} FROM tl_log WHERE seq > ? ORDER BY seq LIMIT ?`;
// L2
export const TRIM_LOG_SQL = 'DELETE FROM tl_log WHERE seq <= ? AND at < ?';
export const LOG_OLDEST_SQL = 'SELECT seq, at FROM tl_log ORDER BY seq LIMIT 1';

export function findLoggedSql(count: number): string {
  return `SELECT request_id, fingerprint, reply FROM tl_log WHERE request_id IN (${Array(count).fill('?').join(',')})`;
}

/** Values of one row in the order of LOG_COLUMNS; seq null lets MySQL choose it. */
export function logRowValues(entry: Omit<LogEntry, 'seq'>, seq: number | null): SqlValue[] {
  return [
    seq,
    entry.xid,
    entry.requestId,
    entry.epoch,
    entry.account,
    entry.bucket,
    entry.fingerprint,
    statementsToText(entry.statements),
    entry.reply,
    entry.atMs,
  ];
}

export function headOfRow(row: Row | undefined): LogHead | undefined {
  if (row === undefined) return undefined;
  return { seq: Number(row['seq']), xid: String(row['xid']), requestId: String(row['request_id']) };
}

export function loggedReplyOfRow(row: Row): LoggedReply {
  return {
    requestId: String(row['request_id']),
    fingerprint: String(row['fingerprint']),
    reply: String(row['reply']),
  };
}

export function logEntryOfRow(row: Row): LogEntry {
  return {
    seq: Number(row['seq']),
    xid: String(row['xid']),
    requestId: String(row['request_id']),
    epoch: Number(row['epoch']),
    account: String(row['account']),
    bucket: Number(row['bucket']),
    fingerprint: String(row['fingerprint']),
    statements: statementsOfText(String(row['statements'])),
    reply: String(row['reply']),
    atMs: Number(row['at']),
  };
}

/** JSON `[[sql, [param, …], changes], …]`; a bigint is `{"int":"…"}`, bytes are `{"base64":"…"}`. */
export function statementsToText(statements: readonly AppliedStatement[]): string {
  return JSON.stringify(statements.map(({ sql, params, changes }) => [sql, params.map(paramToJson), changes]));
}

/** @throws PlatformError REPLICAS_DIVERGED when the text is of another form: the row was not written by this version */
export function statementsOfText(text: string): AppliedStatement[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw ofAnotherForm('statements');
  }
  if (!Array.isArray(parsed)) throw ofAnotherForm('statements');
  return parsed.map(statementOfJson);
}

function statementOfJson(value: unknown): AppliedStatement {
  if (!Array.isArray(value)) throw ofAnotherForm('a statement');
  const [sql, params, changes]: unknown[] = value;
  if (typeof sql !== 'string' || !Array.isArray(params) || !Number.isSafeInteger(changes)) {
    throw ofAnotherForm('a statement');
  }
  return { sql, params: params.map(paramOfJson), changes: Number(changes) };
}

function ofAnotherForm(what: string): PlatformError {
  return new PlatformError('REPLICAS_DIVERGED', `tl_log holds ${what} of a form this version does not know`);
}

function paramToJson(value: SqlValue): unknown {
  if (typeof value === 'bigint') return { int: value.toString() };
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  // JSON has no negative zero; it would come back as an integer and be stored as another value.
  if (Object.is(value, -0)) return { float: '-0' };
  return value;
}

/** What a bigint's text is. */
const INTEGER = /^-?\d{1,20}$/;

function paramOfJson(value: unknown): SqlValue {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const tagged = value as { int?: unknown; base64?: unknown; float?: unknown };
  if (typeof tagged.int === 'string' && INTEGER.test(tagged.int)) return BigInt(tagged.int);
  if (typeof tagged.base64 === 'string') return new Uint8Array(Buffer.from(tagged.base64, 'base64'));
  if (tagged.float === '-0') return -0;
  throw ofAnotherForm('a parameter');
}
