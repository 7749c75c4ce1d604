/**
 * A lane: writes wait here and are committed together, one transaction for up to BATCH_REQUESTS_MAX of them.
 *
 * N1: every write gets exactly one answer.
 * N2: callbacks of a batch run one after another, each inside its own savepoint; one that fails costs only itself.
 * N3: a callback that is overdue leaves: its part is undone, and the others go on.
 * N4: two writes with the same request id are never in one batch: the second finds the first in the log.
 * N5: a batch that rolled back as a whole is run again, request by request; callbacks may so run more than once, and
 *     only their last run has an effect.
 */
import type { Clock } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Random } from '../../shared/random.ts';
import type { OpenBatch, StoreEngine } from '../engine.ts';
import {
  BATCH_FILL_MS_MAX,
  BATCH_REQUESTS_MAX,
  CALLBACK_MS_MAX,
  LANE_DEPTH_MAX,
  REPLY_BYTES_MAX,
  STATEMENT_GRACE_MS,
  WRITE_ATTEMPTS_MAX,
  WRITE_LOCK_WAIT_MS_MAX,
} from '../limits.ts';
import type { LoggedReply } from '../replica.ts';
import { type Fence, requireFence } from './fence.ts';
import { HandlerTransaction, type WriteTransaction } from './handler-transaction.ts';

export interface WriteRequest {
  readonly requestId: string;
  /** Tells two requests with the same id apart, e.g. a hash of what was asked. At most 191 characters. */
  readonly fingerprint: string;
  readonly account: string;
  readonly bucket: number;
  /** On Clock.nowMs(). */
  readonly deadlineAtMs: number;
  /** Refused with FENCE_OUTDATED when a newer token of the name has been seen: see fence.ts. */
  readonly fence?: Fence | undefined;
}

export interface WriteOutcome<T> {
  readonly value: T;
  /** It is the stored first result of the same request id; this call had no effect. */
  readonly replayed: boolean;
}

interface Waiting {
  readonly request: WriteRequest;
  readonly run: (tx: WriteTransaction) => Promise<unknown>;
  readonly resolve: (outcome: WriteOutcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
  /** Batches that rolled back with it in them. */
  attempts: number;
}

interface Kept {
  readonly waiting: Waiting;
  readonly value: unknown;
}

export class Lane {
  readonly #engine: StoreEngine;
  readonly #clock: Clock;
  readonly #random: Random;
  #queue: Waiting[] = [];
  #draining: Promise<void> | undefined;
  #lastBegunAtMs = -Infinity;

  constructor(engine: StoreEngine, clock: Clock, random: Random) {
    this.#engine = engine;
    this.#clock = clock;
    this.#random = random;
  }

  get depth(): number {
    return this.#queue.length;
  }

  /** How long ago a batch last began, and with it looked at every replica. */
  idleMs(): number {
    return this.#clock.nowMs() - this.#lastBegunAtMs;
  }

  write(request: WriteRequest, run: (tx: WriteTransaction) => Promise<unknown>): Promise<WriteOutcome<unknown>> {
    return new Promise((resolve, reject) => {
      if (request.fence !== undefined) requireFence(request.fence);
      if (this.#queue.length >= LANE_DEPTH_MAX) {
        reject(new PlatformError('STORE_BUSY', `${LANE_DEPTH_MAX} writes are waiting already; try again later`));
        return;
      }
      this.#queue.push({ request, run, resolve, reject, attempts: 0 });
      this.#draining ??= this.#drain();
    });
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  async #drain(): Promise<void> {
    // Writes of one tick belong in one batch.
    await new Promise<void>((resolve) => this.#clock.atEndOfTick(resolve));
    while (this.#queue.length > 0) {
      const batch = this.#take();
      if (batch.length > 0) await this.#runBatch(batch);
    }
    this.#draining = undefined;
  }

  /** N4, and a request whose batch has failed goes alone (N5). */
  #take(): Waiting[] {
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    const ids = new Set<string>();
    const nowMs = this.#clock.nowMs();
    for (const [index, waiting] of this.#queue.entries()) {
      const full = taken.length >= BATCH_REQUESTS_MAX || (taken[0]?.attempts ?? 0) > 0;
      if (full || (taken.length > 0 && waiting.attempts > 0)) {
        left.push(...this.#queue.slice(index));
        break;
      }
      if (nowMs >= waiting.request.deadlineAtMs) {
        waiting.reject(
          new PlatformError('DEADLINE_EXCEEDED', 'the write waited past its deadline; it has had no effect'),
        );
      } else if (ids.has(waiting.request.requestId)) {
        left.push(waiting);
      } else {
        ids.add(waiting.request.requestId);
        taken.push(waiting);
      }
    }
    this.#queue = left;
    return taken;
  }

  async #runBatch(waitings: readonly Waiting[]): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const waitMs = Math.min(WRITE_LOCK_WAIT_MS_MAX, ...waitings.map(({ request }) => request.deadlineAtMs - nowMs));
    let batch: OpenBatch;
    try {
      batch = await this.#engine.beginBatch(
        waitings.map(({ request }) => request.requestId),
        Math.max(1, waitMs),
      );
    } catch (thrown) {
      const error = toPlatformError(thrown, 'STORE_UNAVAILABLE');
      // Another app server holds the lock: wait on, until each one's deadline.
      if (error.code === 'STORE_BUSY') this.#queue.unshift(...waitings);
      else for (const { reject } of waitings) reject(error);
      return;
    }
    this.#lastBegunAtMs = this.#clock.nowMs();
    await this.#fill(batch, waitings);
  }

  async #fill(batch: OpenBatch, waitings: readonly Waiting[]): Promise<void> {
    const found = new Map(batch.found.map((reply) => [reply.requestId, reply]));
    const fillUntilMs = this.#clock.nowMs() + BATCH_FILL_MS_MAX;
    const kept: Kept[] = [];
    const later: Waiting[] = [];
    for (const waiting of waitings) {
      const reply = found.get(waiting.request.requestId);
      if (reply !== undefined) answerFromLog(waiting, reply);
      else if (batch.lost || (kept.length > 0 && this.#clock.nowMs() > fillUntilMs)) later.push(waiting);
      else await this.#runOne(batch, waiting, kept, later);
    }
    if (kept.length === 0) await batch.rollback().catch(() => undefined);
    else await this.#commit(batch, kept);
    this.#queue.unshift(...later);
  }

  /** N2, N3. */
  async #runOne(batch: OpenBatch, waiting: Waiting, kept: Kept[], later: Waiting[]): Promise<void> {
    const { request } = waiting;
    const tx = new HandlerTransaction(batch, this.#clock, this.#random);
    batch.openRequest();
    try {
      const value = (await this.#inTime(runFenced(waiting, tx), request.deadlineAtMs)) ?? null;
      await this.#ended(tx);
      if (tx.failure !== undefined) throw tx.failure;
      const { requestId, account, bucket, fingerprint } = request;
      batch.keepRequest({ requestId, account, bucket, fingerprint, reply: replyText(value), atMs: tx.now() });
      kept.push({ waiting, value });
    } catch (thrown) {
      await this.#ended(tx).catch(() => undefined);
      batch.dropRequest();
      if (tx.failure?.code === 'STORE_BUSY' || batch.lost)
        this.#again(waiting, tx.failure ?? toPlatformError(thrown), later);
      else waiting.reject(thrown);
    }
  }

  /** Races a callback against its deadline and the patience of the others in the lane. */
  #inTime(running: Promise<unknown>, deadlineAtMs: number): Promise<unknown> {
    const leftMs = deadlineAtMs - this.#clock.nowMs();
    const overdue =
      leftMs < CALLBACK_MS_MAX
        ? new PlatformError('DEADLINE_EXCEEDED', 'the deadline passed inside the write callback; it has had no effect')
        : new PlatformError(
            'STORE_BUSY',
            `the write callback took longer than ${CALLBACK_MS_MAX} ms; it may only touch the database: do slow work before db.write`,
          );
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(Math.max(0, Math.min(leftMs, CALLBACK_MS_MAX)), () => reject(overdue));
      running.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  /** H1: no call of this request can reach the batch any more, and none is still running. */
  #ended(tx: HandlerTransaction): Promise<void> {
    return new Promise((resolve, reject) => {
      const stuck = new PlatformError('STORE_BUSY', 'a statement of the write is still running past its time');
      const timer = this.#clock.after(STATEMENT_GRACE_MS, () => reject(stuck));
      void tx.end().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** N1: each of `kept` is answered or goes back into the queue. */
  async #commit(batch: OpenBatch, kept: readonly Kept[]): Promise<void> {
    const outcome = await batch
      .commit()
      .catch((thrown: unknown) => ({ kind: 'unknown', error: unknownError(thrown) }) as const);
    if (outcome.kind === 'committed') {
      for (const { waiting, value } of kept) waiting.resolve({ value, replayed: false });
      return;
    }
    if (outcome.kind === 'unknown') {
      for (const { waiting } of kept) waiting.reject(outcome.error);
      return;
    }
    const { error } = outcome;
    const toBlame = error.code === 'REPLICAS_DIVERGED' || error.code === 'STATEMENT_FAILED';
    const again: Waiting[] = [];
    for (const { waiting } of kept) {
      // N5: which one is to blame shows when each goes alone.
      if (error.code === 'STORE_BUSY' || (toBlame && kept.length > 1)) this.#again(waiting, error, again);
      else waiting.reject(error);
    }
    this.#queue.unshift(...again);
  }

  #again(waiting: Waiting, error: PlatformError, later: Waiting[]): void {
    waiting.attempts += 1;
    if (waiting.attempts < WRITE_ATTEMPTS_MAX) later.push(waiting);
    else waiting.reject(error);
  }
}

/** F1 of fence.ts. */
async function runFenced({ request, run }: Waiting, tx: HandlerTransaction): Promise<unknown> {
  if (request.fence !== undefined) await tx.pass(request.fence);
  return run(tx);
}

function answerFromLog(waiting: Waiting, logged: LoggedReply): void {
  if (logged.fingerprint === waiting.request.fingerprint) {
    waiting.resolve({ value: JSON.parse(logged.reply), replayed: true });
    return;
  }
  waiting.reject(
    new PlatformError(
      'IDEMPOTENCY_KEY_REUSED',
      'this key has been used for another request: use a new key for every new request, the same one only to repeat it unchanged',
    ),
  );
}

function replyText(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new PlatformError('REPLY_INVALID', 'expected the write to return JSON');
  if (text.length > REPLY_BYTES_MAX) {
    throw new PlatformError(
      'REPLY_TOO_LARGE',
      `expected a write's result of at most ${REPLY_BYTES_MAX} characters, ${text.length} came`,
    );
  }
  return text;
}

function unknownError(thrown: unknown): PlatformError {
  const { detail } = toPlatformError(thrown);
  return new PlatformError(
    'OUTCOME_UNKNOWN',
    `the commit got no answer: ${detail}; ask again with the same request id`,
    {
      cause: thrown,
    },
  );
}
