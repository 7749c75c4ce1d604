/**
 * One transaction on every replica: the steps W1 to W4 of the write-all protocol, the same for both kinds.
 *
 * W1: on the leader, first look the request ids up, run the statements, write the log rows last.
 * W2: on every follower, replay the statements and the log rows, then prepare.
 * W3: all prepared: commit the leader. This is the commit point.
 * W4: commit the followers. Acknowledge when all have committed.
 * R4: "rolled back" is said only when every replica has confirmed it; otherwise the answer is "unknown".
 * R5: a statement that failed costs its whole request: it goes back to its savepoint.
 */
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { CommitOutcome, CommitStep, KeptRequest, OpenBatch } from '../engine.ts';
import { STATEMENTS_BYTES_MAX, STATEMENTS_MAX } from '../limits.ts';
import type { AppliedStatement, LoggedReply, NewLogEntry, Replica, ReplicaSession, Row, SqlValue } from '../replica.ts';
import { replay } from './replay.ts';

/** What a batch needs of write-all.ts. */
export interface BatchContext {
  readonly replicas: readonly Replica[];
  readonly epoch: number;
  step(step: CommitStep): void;
  /** Something is left for recovery, to be done before the next write. */
  onUnsettled(): void;
  onDiverged(replica: number, error: PlatformError): void;
  /** Every replica has the log up to here. */
  onCommitted(logSeq: number): void;
}

export interface BatchStart {
  readonly xid: string;
  /** In the order of the replicas, the leader first. */
  readonly sessions: readonly ReplicaSession[];
  readonly found: readonly LoggedReply[];
}

export class WriteBatch implements OpenBatch {
  readonly found: readonly LoggedReply[];
  readonly #context: BatchContext;
  readonly #xid: string;
  readonly #leader: ReplicaSession;
  readonly #followers: readonly ReplicaSession[];
  readonly #kept: NewLogEntry[] = [];
  #statements: AppliedStatement[] = [];
  #statementBytes = 0;
  /** Calls run one after another, in the order they were made. */
  #tail: Promise<unknown> = Promise.resolve();
  #failure: PlatformError | undefined;
  #ended = false;

  constructor(context: BatchContext, start: BatchStart) {
    const [leader, ...followers] = start.sessions;
    if (leader === undefined) throw new PlatformError('INTERNAL', 'a batch needs a leader session');
    this.#context = context;
    this.#xid = start.xid;
    this.#leader = leader;
    this.#followers = followers;
    this.found = start.found;
  }

  get lost(): boolean {
    return this.#ended || this.#failure !== undefined || this.#leader.lost;
  }

  openRequest(): void {
    this.#inOrder(() => {
      this.#statements = [];
      this.#statementBytes = 0;
      return this.#leader.savepoint();
    });
  }

  query(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return this.#enqueue(() => this.#leader.query(sql, params));
  }

  execute(sql: string, params: readonly SqlValue[]): Promise<number> {
    return this.#enqueue(async () => {
      const changes = await this.#leader.execute(sql, params);
      this.#record({ sql, params, changes });
      return changes;
    });
  }

  keepRequest(kept: KeptRequest): void {
    this.#inOrder(async () => {
      await this.#leader.keepSavepoint();
      this.#kept.push({ ...kept, statements: this.#statements });
      this.#statements = [];
    });
  }

  dropRequest(): void {
    this.#inOrder(async () => {
      this.#statements = [];
      if (!this.#leader.lost) await this.#leader.undoSavepoint(); // R5; a lost transaction has nothing left to undo
    });
  }

  commit(): Promise<CommitOutcome> {
    return this.#enqueueAlways(async () => {
      if (this.#ended) return this.#gone();
      this.#ended = true;
      if (this.#leader.lost) return this.#abandon(lostError());
      if (this.#failure !== undefined) return this.#abandon(this.#failure);
      return this.#commitKept();
    });
  }

  async rollback(): Promise<void> {
    await this.#enqueueAlways(async () => {
      if (this.#ended) return;
      this.#ended = true;
      await this.#rollbackAll();
    });
  }

  async #commitKept(): Promise<CommitOutcome> {
    const { step } = this.#context;
    let logSeq = 0;
    try {
      const entries = await this.#leader.appendLog(this.#xid, this.#context.epoch, this.#kept); // W1
      logSeq = entries.at(-1)?.seq ?? 0;
      step('leaderLogged');
      await this.#prepareFollowers(entries); // W2
      step('followersPrepared');
    } catch (thrown) {
      return this.#abandon(toPlatformError(thrown, 'STORE_UNAVAILABLE'));
    }
    try {
      await this.#leader.commit(); // W3
    } catch (thrown) {
      const outcome = await this.#settleLeader(toPlatformError(thrown, 'STORE_UNAVAILABLE'));
      if (outcome !== undefined) return outcome;
    }
    step('leaderCommitted');
    return this.#commitFollowers(logSeq); // W4
  }

  async #prepareFollowers(entries: Parameters<typeof replay>[1]): Promise<void> {
    const results = await Promise.allSettled(
      this.#followers.map(async (session) => {
        await replay(session, entries);
        await session.prepare();
      }),
    );
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue;
      const error = toPlatformError(result.reason, 'STORE_UNAVAILABLE');
      // Of many requests any may be to blame; alone it is certain that this follower does something else.
      if (error.code === 'REPLICAS_DIVERGED' && entries.length === 1) this.#context.onDiverged(index + 1, error);
      throw error;
    }
  }

  /** The answer to COMMIT is missing: the leader's log decides. @returns undefined when it did commit */
  async #settleLeader(cause: PlatformError): Promise<CommitOutcome | undefined> {
    try {
      const verdict = await this.#context.replicas[0]?.settle(this.#xid);
      return verdict === 'committed' ? undefined : await this.#abandon(cause);
    } catch {
      this.#context.onUnsettled();
      await Promise.allSettled(this.#followers.map(async (session) => session.letGo()));
      return { kind: 'unknown', error: unknownError(`the leader's COMMIT got no answer: ${cause.detail}`, cause) };
    }
  }

  async #commitFollowers(logSeq: number): Promise<CommitOutcome> {
    const results = await Promise.allSettled(
      this.#followers.map(async (session) => {
        await session.commit();
        this.#context.step('followerCommitted');
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      this.#context.onUnsettled();
      const cause = toPlatformError(failed.reason, 'STORE_UNAVAILABLE');
      // It will be everywhere, but it is not yet: an acknowledgement now could be followed by an old read.
      return {
        kind: 'unknown',
        error: unknownError(`committed, but not on every replica yet: ${cause.detail}`, cause),
      };
    }
    this.#context.step('allCommitted');
    this.#context.onCommitted(logSeq);
    return { kind: 'committed' };
  }

  /** R4. Ends everything; nothing has been committed anywhere. */
  async #abandon(error: PlatformError): Promise<CommitOutcome> {
    try {
      await this.#rollbackAll();
      return { kind: 'rolled-back', error };
    } catch (thrown) {
      const cause = toPlatformError(thrown);
      return { kind: 'unknown', error: unknownError(`no answer to ROLLBACK: ${cause.detail}`, cause) };
    }
  }

  async #rollbackAll(): Promise<void> {
    const results = await Promise.allSettled(
      [this.#leader, ...this.#followers].map(async (session) => session.rollback()),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    this.#context.onUnsettled();
    throw failed.reason;
  }

  #record(statement: AppliedStatement): void {
    this.#statements.push(statement);
    this.#statementBytes += statement.sql.length;
    for (const value of statement.params) {
      this.#statementBytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;
    }
    if (this.#statements.length > STATEMENTS_MAX || this.#statementBytes > STATEMENTS_BYTES_MAX) {
      throw new PlatformError(
        'STATEMENT_FAILED',
        `expected at most ${STATEMENTS_MAX} writing statements of ${STATEMENTS_BYTES_MAX} bytes in one write: split it`,
      );
    }
  }

  /** For calls nobody waits for: their failure is the batch's. */
  #inOrder(run: () => unknown): void {
    this.#enqueue(async () => run()).catch((thrown: unknown) => {
      this.#failure ??= toPlatformError(thrown, 'STORE_UNAVAILABLE');
    });
  }

  #enqueue<T>(run: () => T | Promise<T>): Promise<T> {
    return this.#enqueueAlways(async () => {
      if (this.#ended || this.#failure !== undefined) throw this.#failure ?? lostError();
      return run();
    });
  }

  #enqueueAlways<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  #gone(): CommitOutcome {
    return { kind: 'rolled-back', error: lostError() };
  }
}

function lostError(): PlatformError {
  return new PlatformError('STORE_BUSY', 'the database ended the transaction; it is run again');
}

function unknownError(detail: string, cause: PlatformError): PlatformError {
  return new PlatformError('OUTCOME_UNKNOWN', `${detail}; ask again with the same request id to learn the outcome`, {
    cause,
  });
}
