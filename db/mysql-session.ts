/**
 * One transaction on a MySQL replica, pinned to one connection until it has ended.
 *
 * Z1: an ordinary one (leader, catch-up) ends with COMMIT or ROLLBACK; a preparable one goes XA START, END, PREPARE,
 *     COMMIT. After PREPARE it outlives its connection, so a connection that fails then proves nothing.
 * Z2: whatever fails with the connection leaves no session behind on the server: it is killed and waited for.
 */
import { PlatformError, toPlatformError } from '../shared/errors.ts';
import { insertLogSql, logRowValues } from './commit/transaction-log.ts';
import { errorNumber, lostItsTransaction, type MysqlConnection, type MysqlResult } from './mysql-connection.ts';
import { xaName } from './mysql-xid.ts';
import type { LogEntry, NewLogEntry, ReplicaSession, Row, SqlValue } from './replica.ts';

/** One statement of a handler; the lane gives up on its callback long before. */
const STATEMENT_TIMEOUT_MS = 8_000;

/** Log rows in one statement: few sizes, so that few statements are prepared. */
const LOG_ROWS_PER_INSERT = [16, 4, 1] as const;

const ER_DUP_ENTRY = 1062;

/** What a session needs of its replica. */
export interface SessionOwner {
  readonly database: string;
  release(connection: MysqlConnection): void;
  /** Kills a session that may still be at work and waits until it is gone. */
  endSession(connectionId: number): Promise<void>;
  resolve(xid: string, verdict: 'absent'): Promise<void>;
}

type Phase = 'active' | 'prepared' | 'ended';

export class MysqlSession implements ReplicaSession {
  readonly tag: string;
  readonly #owner: SessionOwner;
  readonly #connection: MysqlConnection;
  /** Undefined for an ordinary transaction. */
  readonly #xid: string | undefined;
  #phase: Phase = 'active';
  #lost = false;

  private constructor(owner: SessionOwner, connection: MysqlConnection, xid: string | undefined) {
    this.#owner = owner;
    this.#connection = connection;
    this.#xid = xid;
    this.tag = String(connection.id);
  }

  static async begin(owner: SessionOwner, connection: MysqlConnection, xid: string | undefined): Promise<MysqlSession> {
    const session = new MysqlSession(owner, connection, xid);
    try {
      await connection.text(xid === undefined ? 'START TRANSACTION' : `XA START ${xaName(xid, owner.database)}`);
      return session;
    } catch (thrown) {
      connection.destroy();
      owner.release(connection);
      throw toPlatformError(thrown, 'STORE_UNAVAILABLE');
    }
  }

  get lost(): boolean {
    return this.#lost || this.#phase === 'ended' || !this.#connection.open;
  }

  /** Rows read are locked, so that what is decided by them still holds at the commit. */
  async query(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    const bare = sql.trim().replace(/;$/, '');
    const locking = /\bFOR\s+UPDATE\b|\bLOCK\s+IN\s+SHARE\b/i.test(bare) ? bare : `${bare}\nFOR UPDATE`;
    return (await this.#run(locking, params)).rows;
  }

  async execute(sql: string, params: readonly SqlValue[]): Promise<number> {
    return (await this.#run(sql, params)).changes;
  }

  async savepoint(): Promise<void> {
    await this.#text('SAVEPOINT tl_request');
  }

  /** The next savepoint of the same name replaces this one. */
  keepSavepoint(): void {}

  async undoSavepoint(): Promise<void> {
    await this.#text('ROLLBACK TO SAVEPOINT tl_request');
  }

  async appendLog(xid: string, epoch: number, entries: readonly NewLogEntry[]): Promise<LogEntry[]> {
    const numbered: LogEntry[] = [];
    for (const chunk of insertChunks(entries)) {
      const unnumbered = chunk.map((entry) => ({ ...entry, xid, epoch }));
      const { insertId } = await this.#insertLog(
        unnumbered.flatMap((entry) => logRowValues(entry, null)),
        chunk.length,
      );
      // Rows of one INSERT get consecutive numbers: their count is known and auto_increment_increment is 1.
      numbered.push(...unnumbered.map((entry, index) => ({ ...entry, seq: insertId + index })));
    }
    return numbered;
  }

  async copyLog(entries: readonly LogEntry[]): Promise<void> {
    for (const chunk of insertChunks(entries)) {
      await this.#insertLog(
        chunk.flatMap((entry) => logRowValues(entry, entry.seq)),
        chunk.length,
      );
    }
  }

  async prepare(): Promise<void> {
    if (this.#xid === undefined) return;
    const name = xaName(this.#xid, this.#owner.database);
    await this.#text(`XA END ${name}`);
    // From the moment it is sent it may have happened.
    this.#phase = 'prepared';
    await this.#text(`XA PREPARE ${name}`);
  }

  async commit(): Promise<void> {
    try {
      await this.#text(this.#xid === undefined ? 'COMMIT' : `XA COMMIT ${xaName(this.#xid, this.#owner.database)}`);
    } catch (thrown) {
      this.#connection.destroy();
      throw thrown;
    } finally {
      this.#end();
    }
  }

  async rollback(): Promise<void> {
    if (this.#phase === 'ended') return;
    const wasPrepared = this.#phase === 'prepared';
    try {
      if (this.#xid === undefined) {
        await this.#connection.text('ROLLBACK');
      } else {
        const name = xaName(this.#xid, this.#owner.database);
        // A deadlock has left it in a state in which XA END fails and XA ROLLBACK is the way out.
        if (!wasPrepared) await this.#connection.text(`XA END ${name}`).catch(() => undefined);
        await this.#connection.text(`XA ROLLBACK ${name}`);
      }
    } catch {
      this.#connection.destroy();
      await this.#owner.endSession(this.#connection.id); // Z2
      if (wasPrepared && this.#xid !== undefined) await this.#owner.resolve(this.#xid, 'absent'); // Z1
    } finally {
      this.#end();
    }
  }

  letGo(): void {
    if (this.#phase === 'ended') return;
    this.#connection.destroy();
    this.#end();
  }

  #end(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#owner.release(this.#connection);
  }

  async #insertLog(values: SqlValue[], rows: number): Promise<MysqlResult> {
    try {
      return await this.#run(insertLogSql(rows), values);
    } catch (thrown) {
      if (errorNumber(thrown) !== ER_DUP_ENTRY) throw thrown;
      // W1: the same request ran elsewhere and was faster; asked again, it is found in the log.
      throw new PlatformError('STORE_BUSY', 'the same request is being carried out elsewhere', { cause: thrown });
    }
  }

  #run(sql: string, params: readonly SqlValue[]): Promise<MysqlResult> {
    return this.#watched(() => this.#connection.run(sql, params, STATEMENT_TIMEOUT_MS));
  }

  #text(sql: string): Promise<MysqlResult> {
    return this.#watched(() => this.#connection.text(sql));
  }

  async #watched(run: () => Promise<MysqlResult>): Promise<MysqlResult> {
    if (this.#phase === 'ended') throw new PlatformError('STORE_UNAVAILABLE', 'the transaction has ended');
    try {
      return await run();
    } catch (thrown) {
      const error = toPlatformError(thrown, 'STORE_UNAVAILABLE');
      if (lostItsTransaction(error)) this.#lost = true;
      throw error;
    }
  }
}

function* insertChunks<T>(entries: readonly T[]): Generator<T[]> {
  let start = 0;
  while (start < entries.length) {
    const size = LOG_ROWS_PER_INSERT.find((rows) => rows <= entries.length - start) ?? 1;
    yield entries.slice(start, start + size);
    start += size;
  }
}
