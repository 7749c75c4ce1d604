/**
 * The journal: bytes in records, durable in the order they were appended, told again at the next start. What they mean is
 * its owner's affair. The parts: journal-writer.ts appends and flushes, journal-recovery.ts reads the folder,
 * snapshot-file.ts and journal-follower.ts are for what is kept beside it and elsewhere.
 */
import type { Clock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { type Random, systemRandom } from '../../shared/random.ts';
import { type JournalFiles, systemFiles } from './journal-files.ts';
import { JournalFollower } from './journal-follower.ts';
import { JournalGenerations } from './journal-generations.ts';
import { FLUSH_EVERY_MS, FOLLOWERS_MAX, SEGMENT_BYTES_MAX } from './journal-limits.ts';
import { FolderReader, type RecoveredFolder, type Recovery } from './journal-recovery.ts';
import { type Durability, JournalWriter, type WriterEvents, type WriterOptions } from './journal-writer.ts';
import { ID_BYTES } from './record-codec.ts';
import type { OnRecord } from './record-scan.ts';
import { snapshotPath } from './segment-file.ts';
import { AdoptedSnapshot, refused, type SnapshotSource } from './snapshot-adoption.ts';
import { checkSnapshot, SnapshotFile } from './snapshot-file.ts';
import { SnapshotReader } from './snapshot-reader.ts';
import { SnapshotWriter } from './snapshot-writer.ts';

export interface JournalOptions {
  /** Nothing else is in it; made when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly segmentBytesMax?: number;
  readonly flushEveryMs?: number;
  /**
   * Every record of the snapshot, with sequence 0, then every journal record after it, in order. The payload is a view
   * that holds only during the call.
   */
  readonly onRecord: OnRecord;
  readonly files?: JournalFiles;
  readonly random?: Random;
  /** What is to become of an error after which nothing may go on. Default: it is thrown, with nobody to catch it. */
  readonly onFatal?: (error: Error) => void;
}

export interface JournalStatus {
  readonly epoch: number;
  readonly lastSequence: number;
  readonly durableSequence: number;
  /** Of the oldest record that is kept. */
  readonly firstSequence: number;
  /** Sequence that the newest snapshot begins at; 0: there is none. */
  readonly newestSnapshot: number;
  /** Of all segments. */
  readonly bytes: number;
  readonly followers: number;
}

export class Journal {
  /** Told after every flush that made records durable. */
  onDurable: (durableSequence: number) => void = () => {};
  /** Everything appended after `durableSequence` is gone, on the disk too; its sequences will be used again. */
  onRefused: (durableSequence: number, reason: string) => void = () => {};
  /** Records are taken again. */
  onRestored: () => void = () => {};
  readonly recovery: Recovery;
  readonly #folder: string;
  readonly #files: JournalFiles;
  readonly #random: Random;
  readonly #lock: { release(): void };
  readonly #generations: JournalGenerations;
  #writer!: JournalWriter;
  #snapshot: SnapshotWriter | undefined;
  #adopting: Promise<void> | undefined;
  readonly #followers = new Set<JournalFollower>();

  private constructor(options: JournalOptions, files: JournalFiles, lock: { release(): void }, found: RecoveredFolder) {
    this.#folder = options.folder;
    this.#files = files;
    this.#random = options.random ?? systemRandom;
    this.#lock = lock;
    this.recovery = found.recovery;
    this.#generations = new JournalGenerations(files, options.folder, found.segments, found.snapshots);
  }

  /** @throws PlatformError JOURNAL_CORRUPT naming file, record and byte; USAGE when another process has it open */
  static async open(options: JournalOptions): Promise<Journal> {
    const files = options.files ?? systemFiles;
    await files.makeFolder(options.folder);
    const lock = files.lock(options.folder);
    try {
      const found = await new FolderReader(files, options.folder, options.log, options.onRecord).recover();
      const journal = new Journal(options, files, lock, found);
      await journal.#begin(options, found);
      return journal;
    } catch (thrown) {
      lock.release();
      throw thrown;
    }
  }

  get lastSequence(): number {
    return this.#writer.lastSequence;
  }

  get durableSequence(): number {
    return this.#writer.durableSequence;
  }

  /** '' while records are taken; else why not. */
  get failure(): string {
    return this.#writer.failure;
  }

  /** Raised by whoever takes over from another coordinator. */
  get epoch(): number {
    return this.#writer.identity.epoch;
  }

  /**
   * Copies the payload. @param payload 0..RECORD_BYTES_MAX bytes
   * @param durability `group`: flushed at once, with all that comes meanwhile; `async`: within flushEveryMs
   * @returns its sequence: one more than the last one's
   * @throws PlatformError STORE_UNAVAILABLE when nothing is taken, or too much waits for the disk
   */
  append(payload: Uint8Array, durability: Durability): number {
    return this.#writer.append(payload, durability);
  }

  /** @throws PlatformError STORE_UNAVAILABLE when that cannot be written; RangeError when it is not higher */
  raiseEpoch(epoch: number): Promise<void> {
    return this.#writer.raiseEpoch(epoch);
  }

  /** One at a time: @throws PlatformError STORE_UNAVAILABLE while another one is being written */
  beginSnapshot(): SnapshotWriter {
    if (this.#snapshot !== undefined || this.#writer.isClosed) {
      throw new PlatformError('STORE_UNAVAILABLE', 'A snapshot is being written already, or the journal is closed.');
    }
    const writer = this.#writer;
    this.#snapshot = new SnapshotWriter({
      get lastSequence() {
        return writer.lastSequence;
      },
      get takenBack() {
        return writer.takenBack;
      },
      createFile: (fromSequence) => this.#createSnapshot(fromSequence),
      untilDurable: (sequence) => writer.untilDurable(sequence),
      onCommitted: (fromSequence) => this.#generations.addSnapshot(fromSequence),
      onEnd: () => {
        this.#snapshot = undefined;
      },
    });
    return this.#snapshot;
  }

  /** The newest snapshot; undefined when there is none. To be closed. */
  async readSnapshot(): Promise<SnapshotReader | undefined> {
    for (;;) {
      const newest = this.#generations.newestSnapshot;
      if (newest === 0) return undefined;
      const file = snapshotPath(this.#folder, newest);
      const handle = await this.#files.open(file, 'r').catch((thrown: unknown) => {
        if (newest === this.#generations.newestSnapshot) throw thrown; // else: dropped for a newer one just now
      });
      if (handle === undefined) continue;
      const content = await checkSnapshot(handle);
      if (typeof content !== 'string') return new SnapshotReader(file, handle, content);
      await handle.close();
      throw new PlatformError('STORE_UNAVAILABLE', `${file} is damaged: ${content}. Make another snapshot.`);
    }
  }

  /**
   * Durable records from `sequence` on, as they come. To be closed.
   * @throws PlatformError STORE_UNAVAILABLE when there are FOLLOWERS_MAX already
   */
  readFrom(sequence: number): JournalFollower {
    if (this.#followers.size >= FOLLOWERS_MAX) {
      throw new PlatformError('STORE_UNAVAILABLE', `The journal is followed by ${FOLLOWERS_MAX} already.`);
    }
    const writer = this.#writer;
    const generations = this.#generations;
    const journal = {
      files: this.#files,
      get durableSequence() {
        return writer.durableSequence;
      },
      get isClosed() {
        return writer.isClosed;
      },
      get firstSequence() {
        return generations.firstSequence;
      },
      segmentOf: (of: number) => generations.segmentOf(of),
    };
    const follower = new JournalFollower(journal, sequence, () => this.#followers.delete(follower));
    this.#followers.add(follower);
    return follower;
  }

  /**
   * Takes over a snapshot of this journal that was made elsewhere; older files are dropped. One that begins beyond the
   * records there are (a follower that fell behind, or begins) takes the place of everything: then the owner reads it
   * (`readSnapshot`), and appends the records from `fromSequence` on, at least up to the snapshot's end sequence.
   * @param fromSequence first record to be told on top of it
   * @throws PlatformError REQUEST_INVALID when it is not whole, of another journal, or older than the newest one here;
   *   COORDINATOR_FENCED when it is of a higher epoch than this journal, which has records;
   *   STORE_UNAVAILABLE when it cannot be written, or another one is being taken over
   */
  async adoptSnapshot(source: SnapshotSource, fromSequence: number): Promise<void> {
    if (this.#adopting !== undefined || this.#writer.isClosed) {
      throw new PlatformError('STORE_UNAVAILABLE', 'A snapshot is being taken over already, or the journal is closed.');
    }
    this.#adopting = this.#receive(source, fromSequence);
    try {
      await this.#adopting;
    } finally {
      this.#adopting = undefined;
    }
  }

  status(): JournalStatus {
    const { epoch, lastSequence, durableSequence } = this;
    const { firstSequence, newestSnapshot, bytes } = this.#generations;
    return {
      epoch,
      lastSequence,
      durableSequence,
      firstSequence,
      newestSnapshot,
      bytes,
      followers: this.#followers.size,
    };
  }

  /** Flushes what waits. */
  async close(): Promise<void> {
    await this.#snapshot?.abandon();
    await this.#writer.close();
    await this.#adopting?.catch(() => undefined); // the lock goes when nothing is written any more
    for (const follower of [...this.#followers]) await follower.close();
    this.#lock.release();
  }

  async #begin(options: JournalOptions, found: RecoveredFolder): Promise<void> {
    const { folder, clock, log, onFatal, segmentBytesMax = SEGMENT_BYTES_MAX, flushEveryMs = FLUSH_EVERY_MS } = options;
    const generations = this.#generations;
    const limits = { segmentBytesMax, flushEveryMs };
    const writing: WriterOptions = {
      folder,
      clock,
      log,
      onFatal,
      generations,
      files: this.#files,
      random: this.#random,
      ...limits,
    };
    const events: WriterEvents = {
      onDurable: () => {
        for (const follower of this.#followers) follower.wake();
        this.onDurable(this.durableSequence);
      },
      onRefused: (reason) => this.onRefused(this.durableSequence, reason),
      onRestored: () => this.onRestored(),
    };
    const identity = { journalId: found.journalId ?? this.#random.bytes(ID_BYTES), epoch: found.epoch };
    this.#writer = await JournalWriter.begin(writing, events, identity, found.lastSequence);
  }

  #createSnapshot(fromSequence: number): Promise<SnapshotFile> {
    const { journalId, epoch } = this.#writer.identity;
    const head = { journalId, epoch, fileId: this.#random.bytes(ID_BYTES), sequence: fromSequence, flags: 0 };
    return SnapshotFile.create(this.#files, this.#folder, snapshotPath(this.#folder, fromSequence), head);
  }

  async #receive(source: SnapshotSource, fromSequence: number): Promise<void> {
    const received = await AdoptedSnapshot.receive(this.#files, this.#folder, source, fromSequence);
    try {
      await this.#adopt(received);
    } catch (thrown) {
      await received.abandon();
      throw thrown;
    }
  }

  async #adopt(received: AdoptedSnapshot): Promise<void> {
    const { head, endSequence } = received.content;
    const { identity, lastSequence, durableSequence } = this.#writer;
    const isNew = lastSequence === 0 && this.#generations.newestSnapshot === 0;
    if (!isNew && !head.journalId.equals(identity.journalId)) throw refused('it is of another journal');
    if (head.sequence < this.#generations.newestSnapshot) throw refused('there is a newer one');
    const isBehind = head.sequence > lastSequence + 1;
    if (!isNew && !isBehind && head.epoch > identity.epoch) {
      throw new PlatformError(
        'COORDINATOR_FENCED',
        `Expected a snapshot of epoch ${identity.epoch}, got one of ${head.epoch}: another coordinator took over.`,
      );
    }
    if (isNew || isBehind) {
      const taken = { journalId: head.journalId, epoch: Math.max(head.epoch, identity.epoch) };
      await this.#writer.jump(head.sequence - 1, taken, () => received.install(true));
      await this.#generations.addSnapshot(head.sequence, true);
      return;
    }
    if (endSequence > durableSequence) {
      throw refused(`it needs the records up to ${endSequence}, and ${durableSequence} is the last one on this disk`);
    }
    await received.install(false);
    await this.#generations.addSnapshot(head.sequence);
  }
}
