/**
 * A snapshot: what its owner holds, as records, in a file that counts whole or not at all.
 *
 * A head as a segment's (`TLSNAPSH`; its sequence is the first one to be read on top; flag 1: see Baseline), records as
 * in a segment with sequences from 0, and a trailer of 32 bytes, at which the file ends:
 *
 * | at | bytes | what |
 * |----|-------|------|
 * |  0 | u32   | checksum, as a record's |
 * |  4 | u32   | TRAILER_WORD, which no length reaches |
 * |  8 | u64   | records |
 * | 16 | u64   | end sequence |
 * | 24 | u32   | CRC-32 of everything between head and trailer |
 * | 28 | u32   | 0 |
 *
 * S1: a snapshot appears under its name when all of it is on the disk: written to `.tmp`, synced, renamed, folder synced.
 * S2: a snapshot is written in steps while records are appended, so it may show what records up to the end sequence did,
 *     in part. It is sound only together with the records from its sequence to its end sequence, and these are on
 *     the disk before it gets its name.
 *
 * Baseline: a snapshot that came from another machine and begins beyond all records there are here.
 */
import { crc32 } from 'node:zlib';
import { type JournalFile, type JournalFiles, readAll, unlinkIfThere, writeAll } from './journal-files.ts';
import { READ_CHUNK_BYTES, SNAPSHOT_CHUNK_BYTES, SNAPSHOT_SYNC_BYTES } from './journal-limits.ts';
import {
  checksumHolds,
  decodeHead,
  encodeHead,
  type FileHead,
  HEAD_BYTES,
  RECORD_HEAD_BYTES,
  readUint64,
  seedOf,
  TRAILER_BYTES,
  TRAILER_WORD,
  writeChecksum,
  writeRecord,
  writeUint64,
} from './record-codec.ts';
import { type OnRecord, RecordScan, scanTo } from './record-scan.ts';

export const BASELINE_FLAG = 1;

export interface SnapshotContent {
  readonly head: FileHead;
  readonly records: number;
  readonly endSequence: number;
  readonly bytes: number;
}

/** Reads a snapshot's whole file once. @returns what it is, or what is wrong with it */
export async function checkSnapshot(file: JournalFile): Promise<SnapshotContent | string> {
  const size = await file.size();
  const headBytes = Buffer.alloc(HEAD_BYTES);
  const head = decodeHead('snapshot', headBytes.subarray(0, await readAll(file, headBytes, HEAD_BYTES, 0)));
  if (typeof head === 'string') return head;
  const trailerAt = size - TRAILER_BYTES;
  if (trailerAt < HEAD_BYTES) return `expected a trailer, the file ends after ${size} bytes`;
  const trailer = Buffer.alloc(TRAILER_BYTES);
  await readAll(file, trailer, TRAILER_BYTES, trailerAt);
  if (trailer.readUInt32LE(4) !== TRAILER_WORD || !checksumHolds(trailer, 0, TRAILER_BYTES, seedOf(head))) {
    return `expected a trailer at byte ${trailerAt}: the file is cut short or damaged`;
  }
  const chunk = Buffer.allocUnsafeSlow(Math.min(READ_CHUNK_BYTES, trailerAt));
  let checksum = 0;
  for (let at = HEAD_BYTES; at < trailerAt; ) {
    const count = await readAll(file, chunk, Math.min(chunk.length, trailerAt - at), at);
    if (count === 0) return `expected ${trailerAt} bytes, the file ends after ${at}`;
    checksum = crc32(chunk.subarray(0, count), checksum);
    at += count;
  }
  if (checksum !== trailer.readUInt32LE(24)) return 'it does not match the checksum in its trailer';
  return { head, records: readUint64(trailer, 8), endSequence: readUint64(trailer, 16), bytes: size };
}

/** Reads a checked snapshot's records. @returns '' or what is wrong */
export async function readSnapshotRecords(
  file: JournalFile,
  content: SnapshotContent,
  onRecord: OnRecord,
): Promise<string> {
  const scan = new RecordScan(seedOf(content.head), 0);
  await scanTo(file, content.bytes, scan, onRecord);
  if (scan.fault !== '') return `record ${scan.sequence} at byte ${scan.offset}: ${scan.fault}`;
  if (scan.offset !== content.bytes - TRAILER_BYTES || scan.sequence !== content.records) {
    return `expected ${content.records} records, got ${scan.sequence}`;
  }
  return '';
}

/** Writes the file of a snapshot, with one write under way at a time. */
export class SnapshotFile {
  readonly #files: JournalFiles;
  readonly #folder: string;
  readonly #path: string;
  readonly #file: JournalFile;
  readonly #seed: number;
  #chunk: Buffer = Buffer.allocUnsafeSlow(SNAPSHOT_CHUNK_BYTES);
  #length = 0;
  #records = 0;
  #written = 0;
  #unsynced = 0;
  #checksum = 0;

  private constructor(files: JournalFiles, place: { folder: string; path: string }, file: JournalFile, head: FileHead) {
    this.#files = files;
    this.#folder = place.folder;
    this.#path = place.path;
    this.#file = file;
    this.#seed = seedOf(head);
    this.#length = encodeHead('snapshot', head).copy(this.#chunk);
  }

  /** @param path in `folder`; nothing is there before `commit` */
  static async create(files: JournalFiles, folder: string, path: string, head: FileHead): Promise<SnapshotFile> {
    const file = await files.open(`${path}.tmp`, 'w');
    return new SnapshotFile(files, { folder, path }, file, head);
  }

  get records(): number {
    return this.#records;
  }

  /** Once it returns true `writeChunk` is to be called and waited for before the next record. */
  append(payload: Uint8Array): boolean {
    const end = this.#length + RECORD_HEAD_BYTES + payload.length;
    if (end > this.#chunk.length) {
      const larger = Buffer.allocUnsafeSlow(end);
      this.#chunk.copy(larger, 0, 0, this.#length);
      this.#chunk = larger;
    }
    writeRecord(this.#chunk, this.#length, payload, this.#records);
    writeChecksum(this.#chunk, this.#length, end, this.#seed);
    this.#records += 1;
    this.#length = end;
    return this.#length >= SNAPSHOT_CHUNK_BYTES;
  }

  async writeChunk(): Promise<void> {
    const begin = this.#written === 0 ? HEAD_BYTES : 0;
    this.#checksum = crc32(this.#chunk.subarray(begin, this.#length), this.#checksum);
    this.#written = await writeAll(this.#file, this.#chunk, this.#length, this.#written);
    this.#unsynced += this.#length;
    this.#length = 0;
    if (this.#chunk.length > 2 * SNAPSHOT_CHUNK_BYTES) this.#chunk = Buffer.allocUnsafeSlow(SNAPSHOT_CHUNK_BYTES);
    if (this.#unsynced < SNAPSHOT_SYNC_BYTES) return;
    await this.#file.datasync();
    this.#unsynced = 0;
  }

  /** What was asked to be written before was awaited. The records up to `endSequence` are on the disk (S2). @returns bytes of the file */
  async commit(endSequence: number): Promise<number> {
    await this.writeChunk();
    const trailer = Buffer.alloc(TRAILER_BYTES);
    trailer.writeUInt32LE(TRAILER_WORD, 4);
    writeUint64(trailer, this.#records, 8);
    writeUint64(trailer, endSequence, 16);
    trailer.writeUInt32LE(this.#checksum, 24);
    writeChecksum(trailer, 0, TRAILER_BYTES, this.#seed);
    this.#written = await writeAll(this.#file, trailer, TRAILER_BYTES, this.#written);
    await this.#file.datasync();
    await this.#file.close();
    await this.#files.rename(`${this.#path}.tmp`, this.#path); // S1
    await this.#files.syncFolder(this.#folder);
    return this.#written;
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await unlinkIfThere(this.#files, `${this.#path}.tmp`);
  }
}
