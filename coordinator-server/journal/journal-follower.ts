/**
 * Reads the journal's records from a sequence on while it is being written, from the disk: a reader that is slow costs no
 * memory.
 *
 * F1: only durable records are told: none is ever taken back. In order, none left out.
 */
import type { JournalFile, JournalFiles } from './journal-files.ts';
import { FOLLOWER_CHUNK_BYTES } from './journal-limits.ts';
import { ChunkReader, RecordScan } from './record-scan.ts';
import { corrupt, type Segment } from './segment-file.ts';

export type Followed =
  | { readonly kind: 'records'; readonly firstSequence: number; readonly payloads: readonly Buffer[] }
  /** What comes next was dropped, a snapshot shows it: read that, then follow from where it says. */
  | { readonly kind: 'dropped'; readonly firstKept: number }
  /** The journal or the follower was closed. */
  | { readonly kind: 'closed' };

export interface FollowedJournal {
  readonly files: JournalFiles;
  readonly durableSequence: number;
  readonly isClosed: boolean;
  readonly firstSequence: number;
  segmentOf(sequence: number): Segment | undefined;
}

export class JournalFollower {
  readonly #journal: FollowedJournal;
  readonly #onClose: () => void;
  #next: number;
  #open: { readonly segment: Segment; readonly file: JournalFile; readonly reader: ChunkReader } | undefined;
  #isClosed = false;
  #wake: () => void = () => {};

  constructor(journal: FollowedJournal, sequence: number, onClose: () => void) {
    this.#journal = journal;
    this.#next = sequence;
    this.#onClose = onClose;
  }

  /** Of the next record that it tells. */
  get nextSequence(): number {
    return this.#next;
  }

  /** Waits for durable records. One call at a time. @throws PlatformError JOURNAL_CORRUPT */
  async next(): Promise<Followed> {
    for (;;) {
      if (this.#isClosed || this.#journal.isClosed) return { kind: 'closed' };
      const segment = this.#journal.segmentOf(this.#next);
      if (segment === undefined) return { kind: 'dropped', firstKept: this.#journal.firstSequence };
      if (this.#next > this.#journal.durableSequence) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const payloads = await this.#read(segment).catch((thrown: unknown) => {
        if (this.#isClosed) return []; // the file was closed under it
        throw thrown;
      });
      if (payloads.length > 0) return { kind: 'records', firstSequence: this.#next - payloads.length, payloads };
    }
  }

  /** The journal has more, or has ended. */
  wake(): void {
    this.#wake();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wake();
    this.#onClose();
    await this.#closeFile();
  }

  /** Some records from `#next` on; maybe none: what came before them takes a step, too. */
  async #read(segment: Segment): Promise<Buffer[]> {
    const reader = await this.#readerOf(segment);
    const payloads: Buffer[] = [];
    if (reader === undefined) return payloads;
    const { scan } = reader;
    // F1: a segment's bytes are those on the disk.
    await reader.step(segment.bytes, (payload, sequence) => {
      if (sequence >= this.#next) payloads.push(payload);
    });
    if (scan.fault !== '') {
      throw corrupt(segment.path, `record ${scan.sequence}, byte ${scan.offset}`, scan.fault);
    }
    if (payloads.length > 0) reader.letGo();
    this.#next += payloads.length;
    return payloads;
  }

  /** @returns undefined: it has just been dropped */
  async #readerOf(segment: Segment): Promise<ChunkReader | undefined> {
    if (this.#open?.segment === segment) return this.#open.reader;
    await this.#closeFile();
    let file: JournalFile;
    try {
      file = await this.#journal.files.open(segment.path, 'r');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT' && this.#journal.segmentOf(this.#next) !== segment)
        return undefined;
      throw thrown;
    }
    const reader = new ChunkReader(file, new RecordScan(segment.seed, segment.first), FOLLOWER_CHUNK_BYTES);
    this.#open = { segment, file, reader };
    return reader;
  }

  async #closeFile(): Promise<void> {
    const file = this.#open?.file;
    this.#open = undefined;
    await file?.close().catch(() => undefined);
  }
}
