/**
 * One SQLite file as a replica, for writing. Lives in the writer thread; reads have their own connections there
 * (sqlite-worker.ts).
 *
 * Q1: one writer per file, over all processes: BEGIN IMMEDIATE. The leader's lock is always taken first, so writers of
 *     different processes cannot wait for each other in a circle.
 * Q2: waiting for a lock is done here, in short sleeps, because SQLite's own back-off (up to 100 ms) would let a busy
 *     app server starve the others of its group.
 */
import { systemClock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import { SQLITE_FENCE_TABLE } from './commit/fence.ts';
import {
  findLoggedSql,
  headOfRow,
  insertLogSql,
  LOG_AFTER_SQL,
  LOG_AT_SQL,
  LOG_HEAD_SQL,
  LOG_OLDEST_SQL,
  logEntryOfRow,
  loggedReplyOfRow,
  logRowValues,
  SQLITE_LOG_TABLE,
} from './commit/transaction-log.ts';
import { WRITE_LOCK_POLL_MS } from './limits.ts';
import type {
  LogEntry,
  LoggedReply,
  LogHead,
  NewLogEntry,
  Replica,
  ReplicaSession,
  Row,
  SqlValue,
  Verdict,
} from './replica.ts';
import { SqliteFile } from './sqlite-file.ts';

const INSERT_LOG_SQL = insertLogSql(1);
const FIND_LOGGED_SQL = findLoggedSql(1);
const EMPTY_HEAD: LogHead = { seq: 0, xid: '', requestId: '' };

/** After it had to wait for a lock, a writer pauses before its next transaction, so that others get their turn. */
const TURN_PAUSE_MS = 1;
const CONTENDED_FOR_MS = 100;

/** The schema is applied under the write lock, which another app server that starts may hold. */
const SCHEMA_WAIT_MS = 5_000;

/** Processes of the same host share a file; the tag says which one wrote. */
const SESSION_TAG = String(process.pid);

const sleepCell = new Int32Array(new SharedArrayBuffer(4));

export class SqliteReplica implements Replica {
  readonly replicaId: string;
  readonly kind = 'sqlite';
  readonly serial = true;
  readonly #path: string;
  #file: SqliteFile | undefined;
  #contendedAtMs = -Infinity;

  constructor(replicaId: string, path: string) {
    this.replicaId = replicaId;
    this.#path = path;
  }

  open(schema: readonly string[]): void {
    if (this.#file !== undefined) return;
    const file = new SqliteFile(this.#path, 'writer', systemClock);
    try {
      this.#lock(file, SCHEMA_WAIT_MS);
      file.exec(SQLITE_LOG_TABLE);
      file.exec(SQLITE_FENCE_TABLE);
      for (const statement of schema) file.exec(statement);
      file.exec('COMMIT');
    } catch (thrown) {
      file.close();
      throw thrown;
    }
    this.#file = file;
  }

  begin(_form: 'ordinary' | 'preparable', _xid: string, waitMs: number): SqliteSession {
    const file = this.#opened();
    file.checkFile();
    if (systemClock.nowMs() - this.#contendedAtMs < CONTENDED_FOR_MS) sleep(TURN_PAUSE_MS); // Q2
    this.#lock(file, waitMs);
    return new SqliteSession(file);
  }

  logHead(): LogHead {
    const file = this.#opened();
    file.checkFile();
    return headOfRow(file.query(LOG_HEAD_SQL, [])[0]) ?? EMPTY_HEAD;
  }

  oldestLogged(beforeMs: number): number {
    const oldest = this.#opened().query(LOG_OLDEST_SQL, [])[0];
    return oldest === undefined || Number(oldest['at']) >= beforeMs ? 0 : Number(oldest['seq']);
  }

  /** Writers take turns and number without gaps, so a log is told by its head: equal heads, equal logs. */
  lackedBy(follower: Replica, limit: number): LogEntry[] {
    // The follower first: it commits after the leader, so one that is ahead here is ahead for good.
    const theirs = follower.logHead() as LogHead;
    const ours = this.logHead();
    const shared = theirs.seq === 0 ? EMPTY_HEAD : headOfRow(this.#opened().query(LOG_AT_SQL, [theirs.seq])[0]);
    if (shared === undefined || shared.xid !== theirs.xid || shared.requestId !== theirs.requestId) {
      throw this.#differs(follower, ours, theirs);
    }
    if (ours.seq === theirs.seq) return [];
    const entries = this.#opened().query(LOG_AFTER_SQL, [theirs.seq, limit]).map(logEntryOfRow);
    if (entries[0]?.seq !== theirs.seq + 1) throw this.#differs(follower, ours, theirs);
    return entries;
  }

  findLogged(requestIds: readonly string[]): LoggedReply[] {
    const file = this.#opened();
    return requestIds.flatMap((requestId) => file.query(FIND_LOGGED_SQL, [requestId]).map(loggedReplyOfRow));
  }

  /**
   * Called after a COMMIT that failed. Absent is never certain then: after a failed fsync the pages may still be found
   * in the write-ahead log by the next process that opens the file.
   */
  settle(xid: string): Verdict {
    if (this.logHead().xid === xid) return 'committed';
    throw new PlatformError('STORE_UNAVAILABLE', `${this.#path}: COMMIT failed and may or may not take effect`);
  }

  // A SQLite transaction ends with its process: there is never one left to finish or to fence.
  isDecided(): boolean {
    return true;
  }

  inDoubt(): string[] {
    return [];
  }

  resolve(): void {}

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #differs(follower: Replica, ours: LogHead, theirs: LogHead): PlatformError {
    const what = `${follower.replicaId} ends with entry ${theirs.seq} (request ${theirs.requestId || 'none'}), which is not what ${this.replicaId}, ending with ${ours.seq}, has there`;
    return new PlatformError(
      'REPLICAS_DIVERGED',
      `${what}. It cannot be levelled from the log: stop the app servers of the group, find out which file is right, and replace the other by a copy of it`,
    );
  }

  #opened(): SqliteFile {
    if (this.#file === undefined) throw new PlatformError('STORE_UNAVAILABLE', `replica ${this.replicaId} is not open`);
    return this.#file;
  }

  /** Q1, Q2. @throws PlatformError STORE_BUSY */
  #lock(file: SqliteFile, waitMs: number): void {
    const giveUpAtMs = systemClock.nowMs() + waitMs;
    for (;;) {
      try {
        return file.exec('BEGIN IMMEDIATE');
      } catch (thrown) {
        if (!(thrown instanceof PlatformError) || thrown.code !== 'STORE_BUSY') throw thrown;
        this.#contendedAtMs = systemClock.nowMs();
        if (this.#contendedAtMs >= giveUpAtMs) throw thrown;
      }
      sleep(WRITE_LOCK_POLL_MS);
    }
  }
}

class SqliteSession implements ReplicaSession {
  readonly tag = SESSION_TAG;
  readonly #file: SqliteFile;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  get lost(): boolean {
    return !this.#file.inTransaction;
  }

  query(sql: string, params: readonly SqlValue[]): Row[] {
    this.#requireOpen();
    return this.#file.query(sql, params);
  }

  execute(sql: string, params: readonly SqlValue[]): number {
    this.#requireOpen();
    return this.#file.execute(sql, params);
  }

  savepoint(): void {
    this.#requireOpen();
    this.#file.exec('SAVEPOINT tl_request');
  }

  keepSavepoint(): void {
    this.#requireOpen();
    this.#file.exec('RELEASE tl_request');
  }

  undoSavepoint(): void {
    this.#requireOpen();
    this.#file.exec('ROLLBACK TO tl_request; RELEASE tl_request');
  }

  appendLog(xid: string, epoch: number, entries: readonly NewLogEntry[]): LogEntry[] {
    const head = headOfRow(this.query(LOG_HEAD_SQL, [])[0]);
    let seq = head?.seq ?? 0;
    return entries.map((entry) => {
      seq += 1;
      const logged = { ...entry, xid, epoch, seq };
      this.execute(INSERT_LOG_SQL, logRowValues(logged, seq));
      return logged;
    });
  }

  copyLog(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.execute(INSERT_LOG_SQL, logRowValues(entry, entry.seq));
  }

  prepare(): void {}

  commit(): void {
    this.#requireOpen();
    try {
      this.#file.exec('COMMIT');
    } catch (thrown) {
      this.rollback();
      throw thrown;
    }
  }

  rollback(): void {
    if (this.#file.inTransaction) this.#file.exec('ROLLBACK');
  }

  letGo(): void {
    this.rollback();
  }

  /** Outside a transaction a statement would take effect at once, and alone. */
  #requireOpen(): void {
    if (this.lost)
      throw new PlatformError('STORE_UNAVAILABLE', `${this.#file.path}: the database ended the transaction`);
  }
}

function sleep(durationMs: number): void {
  Atomics.wait(sleepCell, 0, 0, durationMs);
}
