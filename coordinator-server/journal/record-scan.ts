/**
 * Reads the records of a segment or a snapshot in order, and checks each: as a recovery does, and a follower. A record's
 * payload is a view of the chunk that was read, no copy.
 */
import { type JournalFile, readAll } from './journal-files.ts';
import { READ_CHUNK_BYTES, RECORD_BYTES_MAX } from './journal-limits.ts';
import {
  checksumHolds,
  HEAD_BYTES,
  isMark,
  MARK_BYTES,
  MARK_WORD,
  RECORD_HEAD_BYTES,
  readUint64,
  TRAILER_BYTES,
  TRAILER_WORD,
} from './record-codec.ts';

export type OnRecord = (payload: Buffer, sequence: number) => void;

/** Where it stands in a file: it takes bytes as they come, and remembers the first that are wrong. */
export class RecordScan {
  readonly #seed: number;
  /** Of the next record. */
  sequence: number;
  /** In the file; everything before is sound. */
  offset: number;
  /** What is wrong at `offset`; '' while nothing is. */
  fault = '';
  /** At the trailer of a snapshot. */
  atTrailer = false;
  /** Bytes the item at `offset` takes, as far as is known. */
  needs = RECORD_HEAD_BYTES;

  constructor(seed: number, sequence: number, offset = HEAD_BYTES) {
    this.#seed = seed;
    this.sequence = sequence;
    this.offset = offset;
  }

  /** Takes the whole items of bytes[from..to), which begin at `offset` of the file. @returns where the rest begins */
  take(bytes: Buffer, from: number, to: number, onRecord: OnRecord): number {
    let at = from;
    for (;;) {
      this.needs = RECORD_HEAD_BYTES;
      if (at + RECORD_HEAD_BYTES > to) return at;
      const word = bytes.readUInt32LE(at + 4);
      if (word === MARK_WORD) this.needs = MARK_BYTES;
      else if (word === TRAILER_WORD) this.needs = TRAILER_BYTES;
      else this.needs = RECORD_HEAD_BYTES + word;
      if (word > RECORD_BYTES_MAX && word !== MARK_WORD && word !== TRAILER_WORD) {
        this.fault = `expected a length of at most ${RECORD_BYTES_MAX}, got ${word}`;
        return at;
      }
      const end = at + this.needs;
      if (end > to) return at;
      if (word === TRAILER_WORD) {
        this.atTrailer = true;
        return at;
      }
      this.#check(bytes, at, end, word);
      if (this.fault !== '') return at;
      if (word !== MARK_WORD) {
        onRecord(bytes.subarray(at + RECORD_HEAD_BYTES, end), this.sequence);
        this.sequence += 1;
      }
      this.offset += this.needs;
      at = end;
    }
  }

  #check(bytes: Buffer, at: number, end: number, word: number): void {
    const sequence = readUint64(bytes, at + 8);
    if (!checksumHolds(bytes, at, end, this.#seed)) this.fault = 'it does not match its checksum';
    else if (sequence !== this.sequence) this.fault = `expected sequence ${this.sequence}, got ${sequence}`;
    else if (word === MARK_WORD && readUint64(bytes, at + 16) !== this.offset) this.fault = 'it belongs elsewhere';
  }
}

/** Reads a file for a scan, a chunk at a time. */
export class ChunkReader {
  readonly scan: RecordScan;
  readonly #file: JournalFile;
  readonly #chunkBytes: number;
  #chunk: Buffer | undefined;

  constructor(file: JournalFile, scan: RecordScan, chunkBytes = READ_CHUNK_BYTES) {
    this.#file = file;
    this.scan = scan;
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Reads the next chunk up to `end`. Too few bytes for the last item are a fault. Payloads are views of the chunk, which
   * the next call overwrites, unless it is let go.
   */
  async step(end: number, onRecord: OnRecord): Promise<void> {
    const { scan } = this;
    const left = end - scan.offset;
    if (scan.needs > left) {
      scan.fault = `expected ${scan.needs} bytes, the file has ${left}`;
      return;
    }
    const wanted = Math.min(left, Math.max(scan.needs, this.#chunkBytes));
    if (this.#chunk === undefined || this.#chunk.length < wanted) this.#chunk = Buffer.allocUnsafeSlow(wanted);
    const chunk = this.#chunk;
    const read = await readAll(this.#file, chunk, wanted, scan.offset);
    if (read < wanted) scan.fault = `expected ${wanted} more bytes, the file ends after ${read}`;
    else scan.take(chunk, 0, wanted, onRecord);
  }

  /** The payloads of the last step stay as they are. */
  letGo(): void {
    this.#chunk = undefined;
  }
}

/** Goes on to `end`, or to the first fault: `scan` says where that is. */
export async function scanTo(file: JournalFile, end: number, scan: RecordScan, onRecord: OnRecord): Promise<void> {
  const reader = new ChunkReader(file, scan);
  while (scan.offset < end && scan.fault === '' && !scan.atTrailer) await reader.step(end, onRecord);
}

/** Offset of the first whole mark at or behind `from`: proof that everything before it was on the disk. */
export async function findMark(
  file: JournalFile,
  from: number,
  end: number,
  seed: number,
): Promise<number | undefined> {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(MARK_WORD);
  const chunk = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
  for (let base = from; base + MARK_BYTES <= end; base += chunk.length - MARK_BYTES + 1) {
    const length = await readAll(file, chunk, Math.min(chunk.length, end - base), base);
    const bytes = chunk.subarray(0, length);
    for (let at = bytes.indexOf(word, 4); at !== -1; at = bytes.indexOf(word, at + 1)) {
      const markAt = at - 4;
      if (markAt + MARK_BYTES > length) break;
      if (isMark(bytes, markAt, base + markAt, seed)) return base + markAt;
    }
  }
  return undefined;
}
