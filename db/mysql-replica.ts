/**
 * One MySQL or MariaDB database as a replica.
 *
 * R3: "XAER_NOTA" (no such transaction) proves nothing: it is attached to a connection, or not prepared yet, or finished.
 *     What became of a transaction is asked of XA RECOVER first and then of the log.
 */
import type { Clock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import { MYSQL_FENCE_TABLE } from './commit/fence.ts';
import {
  findLoggedSql,
  headOfRow,
  LOG_AFTER_SQL,
  LOG_COLUMNS,
  LOG_HEAD_SQL,
  LOG_OLDEST_SQL,
  logEntryOfRow,
  loggedReplyOfRow,
  MYSQL_LOG_TABLE,
} from './commit/transaction-log.ts';
import { BATCH_REQUESTS_MAX } from './limits.ts';
import { errorNumber, type MysqlAddress, MysqlConnection } from './mysql-connection.ts';
import { MysqlPool } from './mysql-pool.ts';
import { MysqlSession } from './mysql-session.ts';
import { checkSettings } from './mysql-settings.ts';
import { leaderConnectionOf, xaName, xidOfRecovered } from './mysql-xid.ts';
import type { LogEntry, LoggedReply, LogHead, Replica, ReplicaSession, Row, SqlValue, Verdict } from './replica.ts';

/** A statement of the platform's own, beside any transaction. */
const CONTROL_TIMEOUT_MS = 4_000;

/** Building a table or an index may take this long. */
const SCHEMA_TIMEOUT_MS = 60_000;

/** KILL frees a session within milliseconds; a server under load may need longer. */
const SESSION_END_MS = 3_000;
const SESSION_POLL_MS = 5;

/** Log entries compared at a time by count and checksum. */
const LOG_CHUNK_SEQS = 4_096;

const ER_DUP_KEYNAME = 1061;
const LOG_IDS_SQL = 'SELECT seq, request_id FROM tl_log WHERE seq >= ? AND seq < ? ORDER BY seq';
const LOG_RANGE_SQL = `SELECT ${LOG_COLUMNS} FROM tl_log WHERE seq >= ? AND seq < ? ORDER BY seq`;
const LOG_DIGEST_SQL = `SELECT seq DIV ${LOG_CHUNK_SEQS} AS chunk, COUNT(*) AS entries,
  BIT_XOR(CRC32(CONCAT(seq, ':', request_id))) AS digest FROM tl_log WHERE seq >= ? GROUP BY chunk ORDER BY chunk`;

export interface MysqlReplicaOptions {
  readonly replicaId: string;
  readonly groupId: string;
  readonly writer: MysqlAddress;
  readonly reader: MysqlAddress;
  readonly writerConnections: number;
  readonly readerConnections: number;
  readonly clock: Clock;
  readonly onWarning: (message: string) => void;
}

export class MysqlReplica implements Replica {
  readonly replicaId: string;
  readonly kind = 'mysql';
  readonly serial = false;
  readonly database: string;
  readonly #options: MysqlReplicaOptions;
  readonly #clock: Clock;
  readonly #writers: MysqlPool;
  readonly #readers: MysqlPool;
  #isOpen = false;

  constructor(options: MysqlReplicaOptions) {
    const { replicaId, clock, writer, reader } = options;
    this.replicaId = replicaId;
    this.database = writer.database;
    this.#options = options;
    this.#clock = clock;
    this.#writers = new MysqlPool(
      () => MysqlConnection.connect(writer, 'writer', clock),
      options.writerConnections,
      clock,
    );
    this.#readers = new MysqlPool(
      () => MysqlConnection.connect(reader, 'reader', clock),
      options.readerConnections,
      clock,
    );
  }

  async open(schema: readonly string[]): Promise<void> {
    if (this.#isOpen) return;
    await this.#withWriter(async (connection) => {
      for (const warning of await checkSettings(connection, this.replicaId)) this.#options.onWarning(warning);
      await connection.text(MYSQL_LOG_TABLE, SCHEMA_TIMEOUT_MS);
      await connection.text(MYSQL_FENCE_TABLE, SCHEMA_TIMEOUT_MS);
      for (const statement of schema) await applyStatement(connection, statement);
    });
    this.#isOpen = true;
  }

  async begin(form: 'ordinary' | 'preparable', xid: string, waitMs: number): Promise<ReplicaSession> {
    const connection = await this.#writers.acquire(waitMs);
    return MysqlSession.begin(this, connection, form === 'ordinary' ? undefined : xid);
  }

  async read(sql: string, params: readonly SqlValue[], timeoutMs: number): Promise<Row[]> {
    const connection = await this.#readers.acquire(timeoutMs);
    try {
      return (await connection.run(sql, params, timeoutMs)).rows;
    } finally {
      this.#readers.release(connection);
    }
  }

  async logHead(): Promise<LogHead> {
    const [row] = await this.#ask(LOG_HEAD_SQL, []);
    return headOfRow(row) ?? { seq: 0, xid: '', requestId: '' };
  }

  async oldestLogged(beforeMs: number): Promise<number> {
    const [oldest] = await this.#ask(LOG_OLDEST_SQL, []);
    return oldest === undefined || Number(oldest['at']) >= beforeMs ? 0 : Number(oldest['seq']);
  }

  async findLogged(requestIds: readonly string[]): Promise<LoggedReply[]> {
    // Few sizes, so that few statements are prepared: the last id fills up.
    const size = [1, 4, 16, BATCH_REQUESTS_MAX].find((count) => count >= requestIds.length) ?? requestIds.length;
    const padded = Array.from({ length: size }, (_, index) => requestIds[Math.min(index, requestIds.length - 1)] ?? '');
    return (await this.#ask(findLoggedSql(size), padded)).map(loggedReplyOfRow);
  }

  /** Writers run side by side, so logs may have gaps and are compared as sets, chunk by chunk. */
  async lackedBy(follower: Replica, limit: number): Promise<LogEntry[]> {
    const other = follower as MysqlReplica;
    const from = await this.#firstSeq();
    // The follower first, here and below: it commits after the leader, so what only it has is no race.
    const theirs = await other.#digests(from);
    const ours = await this.#digests(from);
    const chunks = [...new Set([...theirs.keys(), ...ours.keys()])].sort((a, b) => a - b);
    const lacking: LogEntry[] = [];
    for (const chunk of chunks) {
      if (theirs.get(chunk) === ours.get(chunk)) continue;
      lacking.push(
        ...(await this.#lackedInChunk(other, Math.max(from, chunk * LOG_CHUNK_SEQS), (chunk + 1) * LOG_CHUNK_SEQS)),
      );
      if (lacking.length >= limit) break;
    }
    return lacking.slice(0, limit);
  }

  async settle(xid: string): Promise<Verdict> {
    if (await this.#hasLogged(xid)) return 'committed';
    await this.endSession(leaderConnectionOf(xid));
    return (await this.#hasLogged(xid)) ? 'committed' : 'absent';
  }

  async isDecided(xid: string): Promise<boolean> {
    return (await this.#hasLogged(xid)) || !(await this.#hasSession(leaderConnectionOf(xid)));
  }

  async inDoubt(): Promise<string[]> {
    const { rows } = await this.#withWriter((connection) => connection.text('XA RECOVER'));
    return rows.flatMap((row) => xidOfRecovered(row, this.#options.groupId, this.database) ?? []);
  }

  /** R3 */
  async resolve(xid: string, verdict: Verdict): Promise<void> {
    const statement = `XA ${verdict === 'committed' ? 'COMMIT' : 'ROLLBACK'} ${xaName(xid, this.database)}`;
    const giveUpAtMs = this.#clock.nowMs() + SESSION_END_MS;
    while ((await this.inDoubt()).includes(xid)) {
      try {
        await this.#withWriter((connection) => connection.text(statement));
      } catch (thrown) {
        // Still attached to the connection of its owner, which is ending, or finished by somebody else just now.
        if (errorNumber(thrown) === 0 || this.#clock.nowMs() > giveUpAtMs) throw thrown;
        await this.#clock.sleep(SESSION_POLL_MS);
      }
    }
  }

  /** For a session that may still be at work: kills it and waits until it is gone. */
  async endSession(connectionId: number): Promise<void> {
    const giveUpAtMs = this.#clock.nowMs() + SESSION_END_MS;
    while (await this.#hasSession(connectionId)) {
      await this.#withWriter((connection) => connection.text(`KILL ${connectionId}`)).catch(() => undefined); // it may just have ended
      if (this.#clock.nowMs() > giveUpAtMs) {
        throw new PlatformError('STORE_UNAVAILABLE', `${this.replicaId}: session ${connectionId} does not end`);
      }
      await this.#clock.sleep(SESSION_POLL_MS);
    }
  }

  async #hasLogged(xid: string): Promise<boolean> {
    return (await this.#ask('SELECT 1 AS found FROM tl_log WHERE xid = ? LIMIT 1', [xid])).length > 0;
  }

  release(connection: MysqlConnection): void {
    this.#writers.release(connection);
  }

  async close(): Promise<void> {
    await Promise.all([this.#writers.close(), this.#readers.close()]);
  }

  async #lackedInChunk(other: MysqlReplica, from: number, before: number): Promise<LogEntry[]> {
    const theirs = new Map(
      (await other.#ask(LOG_IDS_SQL, [from, before])).map((row) => [Number(row['seq']), String(row['request_id'])]),
    );
    const ours = (await this.#ask(LOG_RANGE_SQL, [from, before])).map(logEntryOfRow);
    const lacking = ours.filter(({ seq }) => !theirs.has(seq));
    for (const { seq, requestId } of ours) {
      if (theirs.get(seq) === requestId) theirs.delete(seq);
    }
    const [extra] = theirs;
    if (extra !== undefined) {
      throw new PlatformError(
        'REPLICAS_DIVERGED',
        `${other.replicaId} has entry ${extra[0]} (request ${extra[1]}), which ${this.replicaId} has not. Find out which database is right, and replace the other by a copy of it`,
      );
    }
    return lacking;
  }

  async #firstSeq(): Promise<number> {
    const [row] = await this.#ask(LOG_AFTER_SQL.replace(LOG_COLUMNS, 'seq'), [0, 1]);
    return Number(row?.['seq'] ?? 0);
  }

  async #digests(from: number): Promise<Map<number, string>> {
    const rows = await this.#ask(LOG_DIGEST_SQL, [from]);
    return new Map(rows.map((row) => [Number(row['chunk']), `${row['entries']}:${row['digest']}`]));
  }

  async #hasSession(connectionId: number): Promise<boolean> {
    const sql = 'SELECT ID FROM information_schema.PROCESSLIST WHERE ID = ? AND USER = ? AND DB = ?';
    return (await this.#ask(sql, [connectionId, this.#options.writer.user, this.database])).length > 0;
  }

  async #ask(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return (await this.#withWriter((connection) => connection.run(sql, params, CONTROL_TIMEOUT_MS))).rows;
  }

  async #withWriter<T>(use: (connection: MysqlConnection) => Promise<T>): Promise<T> {
    const connection = await this.#writers.acquire(CONTROL_TIMEOUT_MS);
    try {
      return await use(connection);
    } finally {
      this.#writers.release(connection);
    }
  }
}

/** MySQL (not MariaDB) has no IF NOT EXISTS for an index, and says so by an error of its own when it exists. */
async function applyStatement(connection: MysqlConnection, statement: string): Promise<void> {
  const portable = statement.replace(/(INDEX)\s+IF\s+NOT\s+EXISTS/i, '$1');
  try {
    await connection.text(portable, SCHEMA_TIMEOUT_MS);
  } catch (thrown) {
    if (errorNumber(thrown) !== ER_DUP_KEYNAME) throw thrown;
  }
}
