/** Reads a whole snapshot, also while it is being dropped for a newer one. */
import type { JournalFile } from './journal-files.ts';
import { readAll } from './journal-files.ts';
import { FOLLOWER_CHUNK_BYTES } from './journal-limits.ts';
import { seedOf } from './record-codec.ts';
import { ChunkReader, RecordScan } from './record-scan.ts';
import { corrupt } from './segment-file.ts';
import type { SnapshotContent } from './snapshot-file.ts';

export class SnapshotReader {
  /** First record to be told on top of it. */
  readonly fromSequence: number;
  /** Last record that it may show something of: it is sound with all records up to this one. */
  readonly endSequence: number;
  readonly records: number;
  /** Of the file. */
  readonly bytes: number;
  readonly #path: string;
  readonly #file: JournalFile;
  readonly #content: SnapshotContent;

  constructor(path: string, file: JournalFile, content: SnapshotContent) {
    this.#path = path;
    this.#file = file;
    this.#content = content;
    this.fromSequence = content.head.sequence;
    this.endSequence = content.endSequence;
    this.records = content.records;
    this.bytes = content.bytes;
  }

  /** Its records in order, some at a time. @throws PlatformError JOURNAL_CORRUPT */
  async *payloads(): AsyncGenerator<Buffer[]> {
    const scan = new RecordScan(seedOf(this.#content.head), 0);
    const reader = new ChunkReader(this.#file, scan, FOLLOWER_CHUNK_BYTES);
    while (!scan.atTrailer) {
      const payloads: Buffer[] = [];
      await reader.step(this.bytes, (payload) => void payloads.push(payload));
      if (scan.fault !== '') throw corrupt(this.#path, `record ${scan.sequence}, byte ${scan.offset}`, scan.fault);
      reader.letGo();
      if (payloads.length > 0) yield payloads;
    }
  }

  /** The bytes of its file, as `Journal.adoptSnapshot` takes them. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.bytes; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(FOLLOWER_CHUNK_BYTES, this.bytes - at));
      const read = await readAll(this.#file, chunk, chunk.length, at);
      if (read < chunk.length) throw corrupt(this.#path, `byte ${at + read}`, `expected ${this.bytes} bytes`);
      at += read;
      yield chunk;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
