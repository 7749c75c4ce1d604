/**
 * The one door to a group's databases: reads from the best replica, writes to all of them, each request once.
 *
 * A request id has one effect; whoever sends it again gets the first result. An acknowledged write is in every replica,
 * on disk. A failure is said as such only when nothing of the write exists or ever will; otherwise it is OUTCOME_UNKNOWN.
 *
 * D1: only replicas that are in step serve reads.
 * D2: MySQL code is loaded only by a store that has such replicas.
 */
import { type Clock, systemClock, type TimerHandle } from '../shared/clock.ts';
import type { MysqlReplicaConfig, ReplicaConfig, SqliteReplicaConfig } from '../shared/config/cluster-schema.ts';
import { PlatformError, toPlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { type Random, systemRandom } from '../shared/random.ts';
import { requireStatement, type WriteTransaction } from './commit/handler-transaction.ts';
import { Lane, type WriteOutcome, type WriteRequest } from './commit/lane.ts';
import type { EngineEvents, StoreEngine, StoreHooks } from './engine.ts';
import { CHECK_EVERY_MS, READS_IN_FLIGHT_MAX } from './limits.ts';
import type { ReplicaCondition, ReplicaKind, Row, SqlValue } from './replica.ts';
import { newScore, noteRead, noteReadFailed, pickReplica, type ReplicaScore } from './replica-picker.ts';
import { checkSchema } from './schema/check-schema.ts';
import { SqliteEngine } from './sqlite-engine.ts';

export type { Fence } from './commit/fence.ts';
export type { WriteTransaction } from './commit/handler-transaction.ts';
export type { WriteOutcome, WriteRequest } from './commit/lane.ts';
export type { CommitStep, StoreHooks } from './engine.ts';
export type { Row, SqlValue } from './replica.ts';

export interface ReplicaStatus {
  readonly replicaId: string;
  readonly kind: ReplicaKind;
  readonly leader: boolean;
  /** In step, writable, and its last read succeeded. */
  readonly healthy: boolean;
  /** Why it is not healthy; empty when it is. */
  readonly reason: string;
  /** Moving average of reads, ms. */
  readonly latencyMs: number;
  /** Reads under way from this process. */
  readonly inFlight: number;
  /** Last log entry seen in it. */
  readonly logSeq: number;
}

export interface ReplicatedStoreOptions {
  readonly groupId: string;
  /** All of one kind; the first is the leader. */
  readonly replicas: readonly ReplicaConfig[];
  /** Absolute path that SQLite files are relative to. */
  readonly dataFolder: string;
  /** Absolute path that secret files are relative to. */
  readonly secretsFolder: string;
  /** CREATE TABLE | INDEX IF NOT EXISTS statements, run on every replica at every open. */
  readonly schema: readonly string[];
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly hooks?: StoreHooks;
}

interface KnownReplica {
  readonly replicaId: string;
  readonly kind: ReplicaKind;
  readonly score: ReplicaScore;
  condition: ReplicaCondition;
  /** Why the last read failed; empty when it did not. */
  readFailure: string;
}

export class ReplicatedStore {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #engine: StoreEngine;
  readonly #known: readonly KnownReplica[];
  readonly #scores: readonly ReplicaScore[];
  readonly #lanes: readonly Lane[];
  readonly #checkTimer: TimerHandle;
  #readsInFlight = 0;
  #checking: Promise<void> | undefined;
  #closed = false;

  private constructor(engine: StoreEngine, known: readonly KnownReplica[], clock: Clock, random: Random) {
    this.#engine = engine;
    this.#known = known;
    this.#scores = known.map(({ score }) => score);
    this.#clock = clock;
    this.#random = random;
    this.#lanes = Array.from({ length: engine.laneCount }, () => new Lane(engine, clock, random));
    this.#checkTimer = clock.every(CHECK_EVERY_MS, () => this.#checkWhenIdle());
  }

  /**
   * Opens every replica, applies the schema, recovers what a crash left.
   * @throws PlatformError SERVICE_INVALID (schema), STORE_UNSAFE (a database setting), STORE_UNAVAILABLE (no leader)
   */
  static async open(options: ReplicatedStoreOptions): Promise<ReplicatedStore> {
    checkSchema(options.schema);
    const { clock = systemClock, random = systemRandom, hooks = {}, log } = options;
    const known = options.replicas.map(({ id, kind }) => ({
      replicaId: id,
      kind,
      score: newScore(),
      condition: { inStep: false, writable: false, reason: 'not open yet', logSeq: 0 },
      readFailure: '',
    }));
    const events: EngineEvents = {
      onConditions: (conditions) => noteConditions(known, conditions),
      onLog: (level, message, fields) => log[level]({ group: options.groupId, ...fields }, message),
    };
    const engine = await openEngine({ ...options, clock, random, hooks, events });
    return new ReplicatedStore(engine, known, clock, random);
  }

  /**
   * Rows of a reading statement, from the best replica that is in step; at most READ_ROWS_MAX.
   * @throws PlatformError STATEMENT_FAILED, DEADLINE_EXCEEDED, STORE_UNAVAILABLE when no replica answers, STORE_BUSY
   */
  async read(sql: string, params: readonly SqlValue[], deadlineAtMs: number): Promise<Row[]> {
    this.#requireOpen();
    requireStatement('read', sql, params);
    if (this.#readsInFlight >= READS_IN_FLIGHT_MAX) {
      throw new PlatformError('STORE_BUSY', `${READS_IN_FLIGHT_MAX} reads are under way already; try again later`);
    }
    this.#readsInFlight += 1;
    try {
      return await this.#readFromBest(sql, params, deadlineAtMs);
    } finally {
      this.#readsInFlight -= 1;
    }
  }

  /**
   * Runs `run` in a transaction on all replicas, once per request id. `run` may be called more than once, of which one
   * run has an effect, so it may only touch the database. Its value must be JSON (undefined is stored as null).
   * With a fence, `run` is called only when no newer token of its name has been seen in a write of this group.
   * @throws what `run` throws, after undoing it; PlatformError IDEMPOTENCY_KEY_REUSED for another fingerprint,
   *   FENCE_OUTDATED for an older token,
   *   STATEMENT_FAILED, DEADLINE_EXCEEDED, STORE_BUSY, STORE_UNAVAILABLE (all without effect), OUTCOME_UNKNOWN
   */
  write<T>(request: WriteRequest, run: (tx: WriteTransaction) => Promise<T>): Promise<WriteOutcome<T>> {
    if (this.#closed) return Promise.reject(closedError());
    const lane = this.#lanes[request.bucket % this.#lanes.length] ?? this.#lanes[0];
    return lane?.write(request, run) as Promise<WriteOutcome<T>>;
  }

  status(): ReplicaStatus[] {
    return this.#known.map(({ replicaId, kind, score, condition, readFailure }, index) => ({
      replicaId,
      kind,
      leader: index === 0,
      healthy: condition.inStep && condition.writable && readFailure === '',
      reason: condition.reason === '' ? readFailure : condition.reason,
      latencyMs: score.latencyMs,
      inFlight: score.inFlight,
      logSeq: condition.logSeq,
    }));
  }

  /** Takes nothing new, finishes what is running. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#checkTimer.cancel();
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
    await this.#checking;
    await this.#engine.close();
  }

  async #readFromBest(sql: string, params: readonly SqlValue[], deadlineAtMs: number): Promise<Row[]> {
    const tried: number[] = [];
    let lastFailure = '';
    for (;;) {
      const index = pickReplica(this.#scores, this.#clock.nowMs(), this.#random.float(), tried); // D1
      const replica = this.#known[index];
      if (replica === undefined) throw this.#noneAnswers(lastFailure);
      const leftMs = deadlineAtMs - this.#clock.nowMs();
      if (leftMs <= 0) throw deadlineError();
      try {
        return await this.#readFrom(replica, index, sql, params, leftMs);
      } catch (thrown) {
        const error = toPlatformError(thrown, 'STORE_UNAVAILABLE');
        if (error.code !== 'STORE_UNAVAILABLE' && error.code !== 'STORE_BUSY') throw error;
        tried.push(index);
        lastFailure = error.detail;
      }
    }
  }

  async #readFrom(
    replica: KnownReplica,
    index: number,
    sql: string,
    params: readonly SqlValue[],
    leftMs: number,
  ): Promise<Row[]> {
    const startedAtMs = this.#clock.nowMs();
    const { score } = replica;
    score.inFlight += 1;
    try {
      const rows = await this.#inTime(this.#engine.read(index, sql, params, leftMs), leftMs);
      noteRead(score, this.#clock.nowMs() - startedAtMs);
      replica.readFailure = '';
      return rows;
    } catch (thrown) {
      const error = toPlatformError(thrown, 'STORE_UNAVAILABLE');
      if (error.code !== 'STATEMENT_FAILED') {
        noteReadFailed(score, this.#clock.nowMs());
        replica.readFailure = error.detail;
      }
      throw error;
    } finally {
      score.inFlight -= 1;
    }
  }

  #inTime<T>(running: Promise<T>, leftMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(leftMs, () => reject(deadlineError()));
      running.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #noneAnswers(lastFailure: string): PlatformError {
    const states = this.#known.map(({ replicaId, condition }) => `${replicaId}: ${condition.reason || 'in step'}`);
    const last = lastFailure === '' ? '' : `; last failure: ${lastFailure}`;
    return new PlatformError('STORE_UNAVAILABLE', `no replica can be read (${states.join('; ')})${last}`);
  }

  /** Another app server of the group may have died between two commits. A busy lane looks by itself. */
  #checkWhenIdle(): void {
    if (this.#checking !== undefined || this.#lanes.every((lane) => lane.idleMs() < CHECK_EVERY_MS)) return;
    this.#checking = this.#engine
      .check()
      .catch(() => undefined) // what it found is in the conditions
      .finally(() => {
        this.#checking = undefined;
      });
  }

  #requireOpen(): void {
    if (this.#closed) throw closedError();
  }
}

interface EngineOptions extends ReplicatedStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly hooks: StoreHooks;
  readonly events: EngineEvents;
}

async function openEngine(options: EngineOptions): Promise<StoreEngine> {
  const { replicas } = options;
  if (replicas.every((replica): replica is SqliteReplicaConfig => replica.kind === 'sqlite')) {
    return SqliteEngine.open({ ...options, replicas });
  }
  if (!replicas.every((replica): replica is MysqlReplicaConfig => replica.kind === 'mysql')) {
    throw new PlatformError('CONFIG_INVALID', `group ${options.groupId}: expected replicas of one kind, found several`);
  }
  // D2: the MySQL client is a tenth of an idle app server's memory.
  const { MysqlEngine } = await import('./mysql-engine.ts');
  return MysqlEngine.open({ ...options, replicas });
}

function noteConditions(known: readonly KnownReplica[], conditions: readonly ReplicaCondition[]): void {
  for (const [index, replica] of known.entries()) {
    const condition = conditions[index];
    if (condition === undefined) continue;
    replica.condition = condition;
    replica.score.inStep = condition.inStep;
  }
}

function closedError(): PlatformError {
  return new PlatformError('DRAINING', 'the store is closed: this server is stopping');
}

function deadlineError(): PlatformError {
  return new PlatformError('DEADLINE_EXCEEDED', 'the deadline passed while the database was being read');
}
