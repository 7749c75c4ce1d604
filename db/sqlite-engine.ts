/** All SQLite replicas of a group, seen from the main thread: the writer thread and the reader thread behind one door. */
import path from 'node:path';
import type { Clock } from '../shared/clock.ts';
import type { SqliteReplicaConfig } from '../shared/config/cluster-schema.ts';
import { PlatformError } from '../shared/errors.ts';
import {
  COMMIT_STEPS,
  type CommitOutcome,
  type EngineEvents,
  type KeptRequest,
  type OpenBatch,
  type StoreEngine,
  type StoreHooks,
} from './engine.ts';
import type { LoggedReply, Row, SqlValue } from './replica.ts';
import { lostItsBatch, SqliteWorkerClient } from './sqlite-worker-client.ts';
import type { SqliteWorkerData, WorkerCommitOutcome } from './sqlite-worker-messages.ts';

export interface SqliteEngineOptions {
  readonly groupId: string;
  readonly replicas: readonly SqliteReplicaConfig[];
  /** Absolute path that the files' names are relative to. */
  readonly dataFolder: string;
  readonly schema: readonly string[];
  readonly clock: Clock;
  readonly events: EngineEvents;
  readonly hooks: StoreHooks;
}

export class SqliteEngine implements StoreEngine {
  /** One writer per file, so one batch at a time. */
  readonly laneCount = 1;
  readonly #writer: SqliteWorkerClient;
  readonly #reader: SqliteWorkerClient;

  private constructor(options: SqliteEngineOptions) {
    const { clock, events, hooks, groupId, schema } = options;
    const files = options.replicas.map(({ id, file }) => ({
      replicaId: id,
      path: path.resolve(options.dataFolder, file),
    }));
    const steps = COMMIT_STEPS.filter((step) => hooks[step] !== undefined);
    const stepCell = new Int32Array(new SharedArrayBuffer(4));
    const data = (role: 'writer' | 'reader'): SqliteWorkerData => ({ role, groupId, files, schema, steps, stepCell });
    this.#writer = new SqliteWorkerClient({ data: data('writer'), clock, events, hooks, restartCall: 'open' });
    this.#reader = new SqliteWorkerClient({ data: data('reader'), clock, events, hooks: {} });
  }

  static async open(options: SqliteEngineOptions): Promise<SqliteEngine> {
    const engine = new SqliteEngine(options);
    try {
      await engine.#writer.call('open');
      return engine;
    } catch (thrown) {
      await engine.close();
      throw thrown;
    }
  }

  async read(replica: number, sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return (await this.#reader.call('read', replica, sql, params)) as Row[];
  }

  async beginBatch(requestIds: readonly string[], waitMs: number): Promise<OpenBatch> {
    const found = (await this.#writer.call('begin', requestIds, waitMs)) as LoggedReply[];
    return new WorkerBatch(this.#writer, found);
  }

  async check(): Promise<void> {
    await this.#writer.call('check');
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#reader.close()]);
  }
}

/** A batch that lives in the writer thread. */
class WorkerBatch implements OpenBatch {
  readonly found: readonly LoggedReply[];
  readonly #writer: SqliteWorkerClient;
  #lost = false;

  constructor(writer: SqliteWorkerClient, found: readonly LoggedReply[]) {
    this.#writer = writer;
    this.found = found;
  }

  get lost(): boolean {
    return this.#lost;
  }

  openRequest(): void {
    this.#writer.cast('openRequest');
  }

  async query(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return (await this.#call('query', sql, params)) as Row[];
  }

  async execute(sql: string, params: readonly SqlValue[]): Promise<number> {
    return (await this.#call('execute', sql, params)) as number;
  }

  keepRequest(kept: KeptRequest): void {
    this.#writer.cast('keepRequest', kept);
  }

  dropRequest(): void {
    this.#writer.cast('dropRequest');
  }

  async commit(): Promise<CommitOutcome> {
    const { kind, failure } = (await this.#call('commit')) as WorkerCommitOutcome;
    if (kind === 'committed' || failure === null) return { kind: 'committed' };
    return { kind, error: new PlatformError(failure.code, failure.detail) };
  }

  async rollback(): Promise<void> {
    await this.#call('rollback');
  }

  async #call(operation: string, ...args: unknown[]): Promise<unknown> {
    try {
      return await this.#writer.call(operation, ...args);
    } catch (thrown) {
      if (lostItsBatch(thrown)) this.#lost = true;
      throw thrown;
    }
  }
}
