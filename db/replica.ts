/**
 * What one replica (one independent database) is to the commit protocol, whatever its kind.
 *
 * The protocol (commit/write-all.ts) and recovery (commit/recovery.ts) are written once against these interfaces. SQLite
 * answers at once, inside a worker thread; MySQL answers later; hence `Awaitable`.
 */

export type SqlValue = null | number | bigint | string | Uint8Array;

/** One row, by column name. Integers are numbers when safe, else bigints. */
export type Row = Record<string, SqlValue>;

export type Awaitable<T> = T | Promise<T>;

export type ReplicaKind = 'sqlite' | 'mysql';

/** A writing statement as the leader ran it. */
export interface AppliedStatement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** Rows it affected on the leader; a follower must affect as many. */
  readonly changes: number;
}

/** What a request leaves in `tl_log`, before the leader numbers it. */
export interface NewLogEntry {
  readonly requestId: string;
  readonly account: string;
  readonly bucket: number;
  /** Tells two requests with the same id apart: what was asked, hashed by the caller. */
  readonly fingerprint: string;
  readonly statements: readonly AppliedStatement[];
  /** JSON of the value the first run returned. */
  readonly reply: string;
  /** Wall time, ms since 1970. */
  readonly atMs: number;
}

export interface LogEntry extends NewLogEntry {
  /** Position in the log of the group; the leader's order of locks. */
  readonly seq: number;
  /** `group:epoch:leader:tag-random`, the same for a whole batch. */
  readonly xid: string;
  readonly epoch: number;
}

/** Last entry of a replica's log; seq 0 when it is empty. */
export interface LogHead {
  readonly seq: number;
  readonly xid: string;
  readonly requestId: string;
}

export interface LoggedReply {
  readonly requestId: string;
  readonly fingerprint: string;
  readonly reply: string;
}

/**
 * Failures of a session are PlatformErrors: STATEMENT_FAILED (the statement is wrong or a constraint refused it),
 * STORE_BUSY (lock wait or deadlock: worth another try), STORE_UNAVAILABLE (the database or its disk fails).
 */
export interface ReplicaSession {
  /** Names the session in the xid, so that others can fence it: a connection id or a process id. */
  readonly tag: string;
  /** The database has ended the transaction by itself: nothing of it is left to keep. */
  readonly lost: boolean;
  query(sql: string, params: readonly SqlValue[]): Awaitable<Row[]>;
  /** @returns rows affected */
  execute(sql: string, params: readonly SqlValue[]): Awaitable<number>;
  /** Opens the part of the transaction that one request may undo alone. */
  savepoint(): Awaitable<void>;
  keepSavepoint(): Awaitable<void>;
  undoSavepoint(): Awaitable<void>;
  /** Leader only: writes the entries to its log, in order. @returns them numbered */
  appendLog(xid: string, epoch: number, entries: readonly NewLogEntry[]): Awaitable<LogEntry[]>;
  /** Follower only: writes log rows as the leader numbered them. */
  copyLog(entries: readonly LogEntry[]): Awaitable<void>;
  /** Follower only: from here on `commit` can only fail by an outage, after which recovery finishes it. */
  prepare(): Awaitable<void>;
  /** When it throws, the session is over all the same, and what became of the transaction is recovery's to find out. */
  commit(): Awaitable<void>;
  /** Ends it for certain: when this resolves, nothing of it can be committed any more. */
  rollback(): Awaitable<void>;
  /** Ends the session without deciding: what is prepared stays so, what is not is undone. */
  letGo(): Awaitable<void>;
}

/** What became of a transaction of the leader. */
export type Verdict = 'committed' | 'absent';

export interface Replica {
  readonly replicaId: string;
  readonly kind: ReplicaKind;
  /** Its `begin` excludes every other writer; without durable PREPARE, logs are levelled under these locks. */
  readonly serial: boolean;
  /** Connects, refuses unsafe settings (STORE_UNSAFE), creates `tl_log`, `tl_fence_tokens` and the services' tables. Does nothing when open. */
  open(schema: readonly string[]): Awaitable<void>;
  /** Starts a transaction; `preparable` under `xid`, so that it can be prepared. STORE_BUSY when no lock came in `waitMs`. */
  begin(form: 'ordinary' | 'preparable', xid: string, waitMs: number): Awaitable<ReplicaSession>;
  /** @throws STORE_UNAVAILABLE when the database is gone (a removed file, a server that does not answer). */
  logHead(): Awaitable<LogHead>;
  /** @returns seq of the oldest entry when it was written before `beforeMs`, else 0 */
  oldestLogged(beforeMs: number): Awaitable<number>;
  /** Leader only. Entries that the follower lacks, in order, at most `limit`. @throws REPLICAS_DIVERGED when it has others. */
  lackedBy(follower: Replica, limit: number): Awaitable<LogEntry[]>;
  findLogged(requestIds: readonly string[]): Awaitable<LoggedReply[]>;
  /** Leader only. Makes sure that the session of `xid` can do nothing more, then says whether it is in the log. Throws when in doubt. */
  settle(xid: string): Awaitable<Verdict>;
  /** Leader only. `settle` would disturb nobody: the transaction is in the log, or the session that minted it has ended. */
  isDecided(xid: string): Awaitable<boolean>;
  /** Prepared transactions of ours that nobody has finished. Always empty without durable PREPARE. */
  inDoubt(): Awaitable<string[]>;
  /** Finishes a prepared transaction whose owner is gone. */
  resolve(xid: string, verdict: Verdict): Awaitable<void>;
  close(): Awaitable<void>;
}

/** Whether a replica may be used, as the writing side found it. */
export interface ReplicaCondition {
  /** It has everything that was acknowledged: it may serve reads. */
  readonly inStep: boolean;
  /** It can be written. One that cannot makes every write fail, since a write is in all replicas or in none. */
  readonly writable: boolean;
  /** Empty when both. */
  readonly reason: string;
  readonly logSeq: number;
}
