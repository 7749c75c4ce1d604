/** Writes batches to the journal's last segment, and makes the next one. One call at a time. */
import type { Random } from '../../shared/random.ts';
import type { Batch } from './append-buffer.ts';
import { type JournalFile, type JournalFiles, writeAll } from './journal-files.ts';
import type { JournalGenerations } from './journal-generations.ts';
import { HEAD_BYTES, ID_BYTES, sealBatch } from './record-codec.ts';
import { createSegment, type Segment } from './segment-file.ts';

/** What a segment's head says beside its place. */
export interface JournalIdentity {
  readonly journalId: Buffer;
  readonly epoch: number;
}

export interface AppenderOptions {
  readonly folder: string;
  readonly files: JournalFiles;
  readonly random: Random;
  readonly segmentBytesMax: number;
  readonly generations: JournalGenerations;
}

export class SegmentAppender {
  readonly #options: AppenderOptions;
  #current: { readonly segment: Segment; readonly file: JournalFile } | undefined;
  /** Behind the last empty batch, or the head. */
  #sealedBytes = HEAD_BYTES;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /** All of them on the disk. */
  get bytes(): number {
    return this.#current?.segment.bytes ?? 0;
  }

  /** Whether what is on the disk proves that it was whole there: nothing was written since the last mark. */
  get isSealed(): boolean {
    return this.bytes === this.#sealedBytes;
  }

  /**
   * Everything before `sequence` is on the disk. @param roomBytes tried whether they can be written
   * @throws space errors: then it goes on as it was; whatever else is thrown leaves open what is on the disk
   */
  async addSegment(identity: JournalIdentity, sequence: number, roomBytes = 0): Promise<void> {
    const { folder, files, random, generations } = this.#options;
    const head = { ...identity, fileId: random.bytes(ID_BYTES), sequence, flags: 0 };
    const created = await createSegment(files, folder, head, roomBytes);
    await files.syncFolder(folder).catch((thrown: unknown) => {
      throw new Error(`syncing ${folder} failed`, { cause: thrown }); // J4 of journal-writer.ts: no space error, whatever its code
    });
    await this.close();
    generations.addSegment(created.segment);
    this.#current = created;
    this.#sealedBytes = HEAD_BYTES;
  }

  /** Whether a batch, whose first record has this sequence, is to begin another segment. */
  isFullFor({ length, records }: Batch, sequence: number): boolean {
    const { segment } = this.#opened();
    return segment.bytes + length > this.#options.segmentBytesMax && records > 0 && sequence > segment.first;
  }

  /** Nothing of it counts before `sync`. */
  async write(batch: Batch, sequence: number): Promise<void> {
    const { segment, file } = this.#opened();
    sealBatch(batch.bytes, batch.length, { seed: segment.seed, offset: segment.bytes, sequence });
    await writeAll(file, batch.bytes, batch.length, segment.bytes);
  }

  async sync({ length, records }: Batch): Promise<void> {
    const { segment, file } = this.#opened();
    await file.datasync();
    segment.bytes += length;
    if (records === 0) this.#sealedBytes = segment.bytes;
  }

  /** Takes everything off the disk that was not synced. */
  async cutBack(): Promise<void> {
    const { segment, file } = this.#opened();
    await file.truncate(segment.bytes);
    await file.datasync();
  }

  async close(): Promise<void> {
    await this.#current?.file.close().catch(() => undefined);
  }

  #opened(): { readonly segment: Segment; readonly file: JournalFile } {
    if (this.#current === undefined) throw new Error('expected a segment to be open');
    return this.#current;
  }
}
