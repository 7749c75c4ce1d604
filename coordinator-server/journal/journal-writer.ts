/**
 * Takes records into a buffer and writes them to the disk in the background.
 *
 * J1: one write and one sync are under way at a time; what comes meanwhile is in the next batch, which many callers share.
 * J2: a record is called durable when the sync of its batch has succeeded, never before.
 * J3: a write that fails for lack of space takes back everything that is not durable, on the disk too, before anybody is
 *     told: nothing of it comes again at the next start. What can still be read stays; a probe finds when space is back.
 * J4: when a sync fails nobody knows what is on the disk: the process ends, and the next one reads what there is.
 * J5: every start, and every cut, goes on in a new segment: bytes of an earlier life have no place to be taken for new ones.
 */
import type { Clock, TimerHandle } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { AppendBuffer, type Batch } from './append-buffer.ts';
import { isSpaceError } from './journal-files.ts';
import { PROBE_EVERY_MS, RECORD_BYTES_MAX, SEAL_AFTER_MS } from './journal-limits.ts';
import { type AppenderOptions, type JournalIdentity, SegmentAppender } from './segment-appender.ts';
import { PROBE_ROOM_BYTES } from './segment-file.ts';

export interface WriterOptions extends AppenderOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly flushEveryMs: number;
  readonly onFatal: ((error: Error) => void) | undefined;
}

export interface WriterEvents {
  onDurable(): void;
  onRefused(reason: string): void;
  onRestored(): void;
}

/** `group`: flushed at once, with all others that come meanwhile; `async`: within flushEveryMs. */
export type Durability = 'group' | 'async';

type JournalState =
  | { readonly kind: 'taking' }
  | { readonly kind: 'refusing'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'closed' };

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class JournalWriter {
  readonly #options: WriterOptions;
  readonly #events: WriterEvents;
  readonly #buffer = new AppendBuffer();
  #identity: JournalIdentity;
  #state: JournalState = { kind: 'refusing', reason: 'it is being opened' };
  #closing = false;
  readonly #segments: SegmentAppender;
  #lastSequence: number;
  #durableSequence: number;
  #takenBack = 0;
  /** Of snapshots: one at a time. */
  #waiters: Waiter[] = [];
  #underWay: Promise<void> | undefined;
  /** Begins when what is under way has ended. */
  #afterThis: (() => void) | undefined;
  #urgent = false;
  #isScheduled = false;
  #flushTimer: TimerHandle | undefined;
  #sealTimer: TimerHandle | undefined;
  #probeTimer: TimerHandle | undefined;

  private constructor(options: WriterOptions, events: WriterEvents, identity: JournalIdentity, lastSequence: number) {
    this.#options = options;
    this.#segments = new SegmentAppender(options);
    this.#events = events;
    this.#identity = identity;
    this.#lastSequence = lastSequence;
    this.#durableSequence = lastSequence;
  }

  /** J5. Goes on behind `lastSequence`; a full disk is found later again. */
  static async begin(
    options: WriterOptions,
    events: WriterEvents,
    identity: JournalIdentity,
    lastSequence: number,
  ): Promise<JournalWriter> {
    const writer = new JournalWriter(options, events, identity, lastSequence);
    await writer.#begin();
    return writer;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get durableSequence(): number {
    return this.#durableSequence;
  }

  get identity(): JournalIdentity {
    return this.#identity;
  }

  /** How often records were taken back. */
  get takenBack(): number {
    return this.#takenBack;
  }

  get isClosed(): boolean {
    return this.#closing || this.#state.kind === 'failed';
  }

  /** '' while records are taken; else why not. */
  get failure(): string {
    return this.#state.kind === 'refusing' || this.#state.kind === 'failed' ? this.#state.reason : '';
  }

  /**
   * Copies the payload. @param payload 0..RECORD_BYTES_MAX bytes
   * @returns its sequence: one more than the last one's
   * @throws PlatformError STORE_UNAVAILABLE when nothing is taken, or too much waits for the disk
   */
  append(payload: Uint8Array, durability: Durability): number {
    if (this.#state.kind !== 'taking' || this.#closing) throw this.#refusal();
    if (this.#buffer.isFull) {
      const detail = `${this.#options.folder}: the disk does not keep up with what is written. Try again in a moment.`;
      throw new PlatformError('STORE_UNAVAILABLE', detail);
    }
    if (payload.length > RECORD_BYTES_MAX) {
      throw new RangeError(`expected a record of at most ${RECORD_BYTES_MAX} bytes, got ${payload.length}`);
    }
    this.#lastSequence += 1;
    this.#buffer.append(payload, this.#lastSequence);
    if (durability === 'group') this.#flushSoon();
    else this.#flushTimer ??= this.#options.clock.after(this.#options.flushEveryMs, () => this.#flush());
    return this.#lastSequence;
  }

  /** Flushes what waits. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#probeTimer?.cancel();
    while (this.#underWay !== undefined) await this.#underWay;
    this.#flush(); // the empty batch, too: it marks the end as durable
    while (this.#underWay !== undefined) await this.#underWay;
    if (this.#state.kind !== 'failed') this.#state = { kind: 'closed' };
    for (const timer of [this.#flushTimer, this.#sealTimer, this.#probeTimer]) timer?.cancel();
    this.#endWaiters(new PlatformError('STORE_UNAVAILABLE', 'The journal was closed.'));
    await this.#segments.close();
  }

  /** Resolves when the record is durable. @throws PlatformError STORE_UNAVAILABLE when it was taken back */
  untilDurable(sequence: number): Promise<void> {
    if (sequence <= this.#durableSequence) return Promise.resolve();
    if (this.#state.kind !== 'taking' || this.#closing) return Promise.reject(this.#refusal());
    this.#flushSoon();
    return new Promise((resolve, reject) => void this.#waiters.push({ sequence, resolve, reject }));
  }

  /** From now on all segments are of this epoch. @throws PlatformError STORE_UNAVAILABLE when that cannot be written */
  async raiseEpoch(epoch: number): Promise<void> {
    if (epoch <= this.#identity.epoch) {
      throw new RangeError(`expected an epoch over ${this.#identity.epoch}, got ${epoch}`);
    }
    await this.#alone(async () => {
      const before = this.#identity;
      this.#identity = { ...before, epoch };
      try {
        await this.#addSegment();
      } catch (thrown) {
        this.#identity = before;
        throw thrown;
      }
    });
  }

  /**
   * Goes on behind a sequence that this journal has no records up to: a snapshot from elsewhere takes their place.
   * @param install puts the snapshot in place
   */
  async jump(lastSequence: number, identity: JournalIdentity, install: () => Promise<void>): Promise<void> {
    await this.#alone(async () => {
      if (this.#lastSequence !== this.#durableSequence || lastSequence < this.#lastSequence) {
        throw new PlatformError('STORE_UNAVAILABLE', 'Records came while a snapshot was taken over: try again.');
      }
      await install();
      this.#identity = identity;
      this.#lastSequence = lastSequence;
      this.#durableSequence = lastSequence;
      try {
        await this.#addSegment();
      } catch (thrown) {
        if (!isSpaceError(thrown)) throw thrown;
        this.#beginRefusing(thrown); // the snapshot is in place: no record goes to the old segment any more
      }
    });
  }

  /** Does what must not happen while a batch is being written. Space errors go to the caller; others end it all (J4). */
  #alone(work: () => Promise<void>): Promise<void> {
    if (this.#afterThis !== undefined) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const start = (): void => {
        if (this.#state.kind !== 'taking' || this.#closing) {
          reject(this.#refusal());
          return;
        }
        const done = work().then(resolve, (thrown: unknown) => {
          reject(toPlatformError(thrown, 'STORE_UNAVAILABLE'));
          if (!isSpaceError(thrown) && !(thrown instanceof PlatformError)) throw thrown;
        });
        this.#keepUnderWay(done);
      };
      if (this.#underWay === undefined) start();
      else this.#afterThis = start;
    });
  }

  #endWaiters(error: Error): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  #tellDurable(): void {
    const due = this.#waiters.filter(({ sequence }) => sequence <= this.#durableSequence);
    this.#waiters = this.#waiters.filter(({ sequence }) => sequence > this.#durableSequence);
    this.#events.onDurable();
    for (const { resolve } of due) resolve();
  }

  async #begin(): Promise<void> {
    try {
      await this.#addSegment();
      this.#state = { kind: 'taking' };
    } catch (thrown) {
      if (!isSpaceError(thrown)) throw thrown;
      this.#beginRefusing(thrown);
    }
  }

  /** J5. Nothing is under way, and everything before is on the disk. @throws space errors: then it goes on as it was */
  #addSegment(roomBytes = 0): Promise<void> {
    return this.#segments.addSegment(this.#identity, this.#durableSequence + 1, roomBytes);
  }

  #flushSoon(): void {
    this.#urgent = true;
    if (this.#isScheduled || this.#underWay !== undefined) return;
    this.#isScheduled = true;
    this.#options.clock.atEndOfTick(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#state.kind !== 'taking') return;
    if (this.#underWay !== undefined) {
      this.#urgent = true; // J1: right after the one under way
      return;
    }
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    this.#urgent = false;
    if (this.#buffer.records === 0 && this.#segments.isSealed) return;
    const batch = this.#buffer.take();
    this.#keepUnderWay(this.#write(batch));
  }

  #keepUnderWay(work: Promise<void>): void {
    this.#underWay = work
      .catch((thrown: unknown) => this.#fail(thrown))
      .then(() => {
        this.#underWay = undefined;
        this.#goOn();
      });
  }

  #goOn(): void {
    const next = this.#afterThis;
    this.#afterThis = undefined;
    next?.(); // ahead of the next batch: under load there is always one
    if (this.#underWay !== undefined) return;
    if (this.#urgent) this.#flush();
    else this.#sealLater();
  }

  async #write(batch: Batch): Promise<void> {
    const sequence = this.#durableSequence + 1;
    try {
      if (this.#segments.isFullFor(batch, sequence)) await this.#addSegment();
      await this.#segments.write(batch, sequence);
    } catch (thrown) {
      if (!isSpaceError(thrown)) throw thrown;
      this.#buffer.release(batch);
      await this.#takeBack(thrown);
      return;
    }
    await this.#segments.sync(batch); // J2
    this.#durableSequence += batch.records;
    this.#buffer.release(batch);
    if (batch.records > 0) this.#tellDurable();
  }

  /** J3 */
  async #takeBack(thrown: unknown): Promise<void> {
    this.#beginRefusing(thrown);
    this.#buffer.clear();
    this.#urgent = false;
    await this.#segments.cutBack();
    this.#lastSequence = this.#durableSequence;
    this.#takenBack += 1;
    this.#endWaiters(this.#refusal());
    this.#events.onRefused(this.failure);
  }

  #beginRefusing(thrown: unknown): void {
    const reason = `${toPlatformError(thrown).detail}; writes to ${this.#options.folder} are refused until there is room`;
    this.#state = { kind: 'refusing', reason };
    this.#options.log.error(
      { err: thrown, durable: this.#durableSequence },
      'the journal has no space: it takes no records',
    );
    this.#probeLater();
  }

  #probeLater(): void {
    if (this.#closing) return;
    this.#probeTimer = this.#options.clock.after(PROBE_EVERY_MS, () => {
      if (this.#closing) return;
      if (this.#underWay === undefined) this.#keepUnderWay(this.#probe());
      else this.#probeLater();
    });
  }

  async #probe(): Promise<void> {
    try {
      await this.#addSegment(PROBE_ROOM_BYTES);
    } catch (thrown) {
      if (!isSpaceError(thrown)) throw thrown;
      this.#probeLater();
      return;
    }
    this.#state = { kind: 'taking' };
    this.#options.log.info({ durable: this.#durableSequence }, 'the journal takes records again');
    this.#events.onRestored();
  }

  /** An empty batch proves that the one before it was on the disk. */
  #sealLater(): void {
    if (this.#sealTimer !== undefined || this.#segments.isSealed) return;
    const durable = this.#durableSequence;
    this.#sealTimer = this.#options.clock.after(SEAL_AFTER_MS, () => {
      this.#sealTimer = undefined;
      if (this.#durableSequence === durable) this.#flush();
      else this.#sealLater();
    });
  }

  /** J4 */
  #fail(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.#state = { kind: 'failed', reason: error.message };
    this.#endWaiters(error);
    this.#options.log.fatal(
      { err: error, durable: this.#durableSequence },
      'the journal cannot tell what is on the disk',
    );
    const rethrow = (): void =>
      this.#options.clock.atEndOfTick(() => {
        throw error;
      });
    if (this.#options.onFatal === undefined) rethrow();
    else this.#options.onFatal(error);
  }

  #refusal(): PlatformError {
    const why = this.failure || 'it is closed';
    return new PlatformError('STORE_UNAVAILABLE', `The journal takes no records: ${why}. Nothing was changed.`);
  }
}

function busy(): PlatformError {
  return new PlatformError('STORE_UNAVAILABLE', 'The journal is busy with a snapshot or an epoch: try again.');
}
