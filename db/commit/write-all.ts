/**
 * The writing side of a group: opens its replicas, starts batches on all of them, keeps them in step.
 * Runs in the writer thread for SQLite, in the main thread for MySQL.
 *
 * A1: the order of the replicas is the order of the config, the leader first; every writer begins in that order.
 * A2: a write is in every replica of the config or in none. One that cannot be written makes writes fail (reads go on):
 *     leaving it out is for a view change to decide, not for one app server.
 * A3: a request that is found in the leader's log is answered only when every follower has it too.
 */
import type { Clock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { Random } from '../../shared/random.ts';
import type { CommitStep, EngineEvents } from '../engine.ts';
import {
  CATCH_UP_CHUNK,
  CATCH_UP_PER_WRITE_MAX,
  LOG_KEEP_ENTRIES,
  LOG_KEEP_MS,
  LOG_TRIM_CHUNK,
  LOG_TRIM_CHUNKS_PER_CHECK,
  WRITE_LOCK_WAIT_MS_MAX,
} from '../limits.ts';
import type { LoggedReply, Replica, ReplicaSession } from '../replica.ts';
import { finishInDoubt, levelBesideWriters, levelUnderLocks } from './recovery.ts';
import { ReplicaConditions } from './replica-conditions.ts';
import { TRIM_LOG_SQL } from './transaction-log.ts';
import { type BatchContext, WriteBatch } from './write-batch.ts';

/** Views come with a later issue; until then every transaction is of this epoch. */
const EPOCH = 1;

export interface WriteAllOptions {
  readonly groupId: string;
  /** The leader first. */
  readonly replicas: readonly Replica[];
  readonly schema: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EngineEvents;
  readonly step: (step: CommitStep) => void;
}

export class WriteAll {
  readonly #options: WriteAllOptions;
  readonly #leader: Replica;
  readonly #followers: readonly Replica[];
  readonly #conditions: ReplicaConditions;
  readonly #context: BatchContext;
  /** An unfinished commit may have left something; see BatchContext.onUnsettled. */
  #unsettled = true;
  #recovering: Promise<PlatformError | undefined> | undefined;

  constructor(options: WriteAllOptions) {
    const [leader, ...followers] = options.replicas;
    if (leader === undefined) throw new PlatformError('CONFIG_INVALID', 'a group needs at least one replica');
    this.#options = options;
    this.#leader = leader;
    this.#followers = followers;
    this.#conditions = new ReplicaConditions(options.replicas, options.events);
    this.#context = {
      replicas: options.replicas,
      epoch: EPOCH,
      step: options.step,
      onUnsettled: () => {
        this.#unsettled = true;
      },
      onDiverged: (index, error) => {
        this.#conditions.takeOut(index, error);
        this.#conditions.report();
      },
      onCommitted: (logSeq) => this.#conditions.noteCommitted(logSeq),
    };
  }

  /** @throws STORE_UNSAFE for a setting that must be changed, STORE_UNAVAILABLE when the leader cannot be opened */
  async open(): Promise<void> {
    await this.#leader.open(this.#options.schema);
    this.#conditions.noteInStep(0, 0);
    for (const [position, follower] of this.#followers.entries()) {
      try {
        await follower.open(this.#options.schema);
      } catch (thrown) {
        if (this.#conditions.noteFailure(position + 1, thrown).code === 'STORE_UNSAFE') throw thrown;
      }
    }
    await this.check();
  }

  async beginBatch(requestIds: readonly string[], waitMs: number): Promise<WriteBatch> {
    // A serial kind levels its followers under the locks of every batch; the others must not write past a gap.
    if (this.#unsettled && !this.#leader.serial) {
      const failure = await this.#recover();
      if (failure !== undefined) throw failure;
    }
    const { xid, sessions } = await this.#beginAll(waitMs);
    try {
      const found = requestIds.length === 0 ? [] : await this.#leader.findLogged(requestIds);
      if (found.length > 0 && !this.#leader.serial) await this.#requireEverywhere(found);
      return new WriteBatch(this.#context, { xid, sessions, found });
    } catch (thrown) {
      await rollbackAll(sessions);
      throw thrown;
    } finally {
      this.#conditions.report();
    }
  }

  /** Opens what is closed, levels what is behind, trims the log. Cheap when all is well. */
  async check(): Promise<void> {
    try {
      await this.#recover();
      await this.#noteHeads();
      await this.#trim();
    } finally {
      this.#conditions.reportAll();
    }
  }

  async close(): Promise<void> {
    for (const replica of this.#options.replicas) await replica.close();
  }

  /** A1. For a serial kind, also levels every follower under the locks. */
  async #beginAll(waitMs: number): Promise<{ xid: string; sessions: ReplicaSession[] }> {
    const sessions: ReplicaSession[] = [];
    let index = 0;
    try {
      const leader = await this.#leader.begin('ordinary', '', waitMs);
      sessions.push(leader);
      this.#options.step('leaderBegun');
      const xid = this.#newXid(leader.tag);
      for (const follower of this.#followers) {
        index += 1;
        sessions.push(await this.#beginFollower(follower, index, xid, waitMs));
      }
      this.#options.step('followersBegun');
      return { xid, sessions };
    } catch (thrown) {
      await rollbackAll(sessions);
      const failure = this.#conditions.noteFailure(index, thrown); // A2
      this.#conditions.report();
      throw failure;
    }
  }

  async #beginFollower(follower: Replica, index: number, xid: string, waitMs: number): Promise<ReplicaSession> {
    const session = await follower.begin('preparable', xid, waitMs);
    if (!this.#leader.serial) return session;
    const levelled = await levelUnderLocks(this.#leader, follower, session, CATCH_UP_PER_WRITE_MAX);
    if (levelled.behind) {
      await levelled.session.rollback();
      const detail = `replica ${follower.replicaId} is far behind and catching up; writes go on when it is level`;
      throw new PlatformError('STORE_UNAVAILABLE', detail);
    }
    this.#conditions.noteInStep(index, levelled.copied);
    return levelled.session;
  }

  /** A3 where writers run side by side: the first run may be between its commits. */
  async #requireEverywhere(found: readonly LoggedReply[]): Promise<void> {
    const requestIds = found.map(({ requestId }) => requestId);
    for (const follower of this.#followers) {
      if ((await follower.findLogged(requestIds)).length === requestIds.length) continue;
      this.#unsettled = true;
      throw new PlatformError('STORE_BUSY', `a request of this batch is not on ${follower.replicaId} yet`);
    }
  }

  /** One at a time. @returns why it is not finished */
  #recover(): Promise<PlatformError | undefined> {
    this.#recovering ??= this.#recoverOnce().finally(() => {
      this.#recovering = undefined;
    });
    return this.#recovering;
  }

  async #recoverOnce(): Promise<PlatformError | undefined> {
    const thorough = this.#unsettled;
    this.#unsettled = false;
    let failure: PlatformError | undefined;
    for (const [position, follower] of this.#followers.entries()) {
      const index = position + 1;
      try {
        await follower.open(this.#options.schema);
        const levelled = this.#leader.serial
          ? await this.#levelSerial(follower)
          : await this.#levelConcurrent(follower, thorough || !this.#conditions.isInStep(index));
        this.#conditions.noteInStep(index, levelled);
      } catch (thrown) {
        failure = this.#conditions.noteFailure(index, thrown);
        this.#unsettled = true;
      }
    }
    return failure;
  }

  /** First without locks: almost always there is nothing to do. @returns entries copied */
  async #levelSerial(follower: Replica): Promise<number> {
    let copied = 0;
    while ((await this.#leader.lackedBy(follower, 1)).length > 0) {
      const leader = await this.#leader.begin('ordinary', '', WRITE_LOCK_WAIT_MS_MAX);
      try {
        const session = await follower.begin('preparable', '', WRITE_LOCK_WAIT_MS_MAX);
        const round = await levelUnderLocks(this.#leader, follower, session, CATCH_UP_CHUNK);
        await round.session.rollback();
        copied += round.copied;
      } finally {
        await leader.rollback(); // between rounds others may write
      }
    }
    return copied;
  }

  /** @param thorough compare the logs even when nothing is in doubt @returns transactions finished and entries copied */
  async #levelConcurrent(follower: Replica, thorough: boolean): Promise<number> {
    const finished = await finishInDoubt(this.#leader, follower, this.#options.clock);
    if (!thorough && finished === 0) return 0;
    return finished + (await levelBesideWriters(this.#leader, follower));
  }

  /** Log retention, L2 of transaction-log.ts: only while every replica has all of it. */
  async #trim(): Promise<void> {
    const keepFrom = this.#conditions.logSeq(0) - LOG_KEEP_ENTRIES;
    if (keepFrom <= 0 || !this.#conditions.allGood) return;
    const beforeMs = this.#options.clock.wallMs() - LOG_KEEP_MS;
    for (let chunk = 0; chunk < LOG_TRIM_CHUNKS_PER_CHECK; chunk += 1) {
      const oldest = await this.#leader.oldestLogged(beforeMs);
      if (oldest === 0 || oldest > keepFrom) return;
      await this.#trimChunk(Math.min(keepFrom, oldest + LOG_TRIM_CHUNK - 1), beforeMs);
    }
  }

  /** A crash between two of the commits leaves old rows on one replica only; they go with the next chunk. */
  async #trimChunk(upTo: number, beforeMs: number): Promise<void> {
    const { sessions } = await this.#beginAll(WRITE_LOCK_WAIT_MS_MAX);
    try {
      for (const session of sessions) await session.execute(TRIM_LOG_SQL, [upTo, beforeMs]);
      for (const session of sessions) await session.prepare();
      for (const session of sessions) await session.commit();
    } catch (thrown) {
      await rollbackAll(sessions);
      throw thrown;
    }
  }

  async #noteHeads(): Promise<void> {
    for (const [index, replica] of this.#options.replicas.entries()) {
      if (!this.#conditions.isInStep(index)) continue;
      try {
        this.#conditions.noteLogSeq(index, (await replica.logHead()).seq);
        if (index === 0) this.#conditions.noteInStep(0, 0);
      } catch (thrown) {
        this.#conditions.noteFailure(index, thrown);
      }
    }
  }

  #newXid(tag: string): string {
    const unique = this.#options.random.bytes(8).toString('hex');
    return `${this.#options.groupId}:${EPOCH}:${this.#leader.replicaId}:${tag}-${unique}`;
  }
}

async function rollbackAll(sessions: readonly ReplicaSession[]): Promise<void> {
  await Promise.allSettled(sessions.map(async (session) => session.rollback()));
}
