/**
 * The bytes of a segment: a head, then batches, each a mark and its records, without a gap. All numbers little-endian.
 *
 * Segment head, 64 bytes:
 *
 * | at | bytes | what |
 * |----|-------|------|
 * |  0 | 8     | `TLJOURNL` |
 * |  8 | u32   | format version, 1 |
 * | 12 | u32   | epoch: raised when another coordinator takes over |
 * | 16 | 16    | journal id: the same in all files of one journal |
 * | 32 | 16    | segment id: random, new for every file ever made |
 * | 48 | u64   | sequence of the first record |
 * | 56 | u32   | flags, 0 |
 * | 60 | u32   | CRC-32 of bytes 0..59 |
 *
 * Record, 16 bytes and its payload:
 *
 * | at | bytes | what |
 * |----|-------|------|
 * |  0 | u32   | checksum: CRC-32 of all that follows, begun with the segment's seed |
 * |  4 | u32   | bytes of the payload, at most RECORD_BYTES_MAX |
 * |  8 | u64   | sequence, one more than the record's before |
 * | 16 |       | payload |
 *
 * Mark, 24 bytes, at the beginning of every batch:
 *
 * | at | bytes | what |
 * |----|-------|------|
 * |  0 | u32   | checksum, as a record's |
 * |  4 | u32   | MARK_WORD, which no length reaches |
 * |  8 | u64   | sequence of the next record |
 * | 16 | u64   | offset of this mark in its file |
 *
 * C1: a checksum begins with a seed that comes from the segment id, so bytes of another file, or of an earlier life of
 *     this one, never pass: for equal bytes, another seed gives another CRC-32.
 * C2: a batch is written when the one before is on the disk, so a mark that is whole proves that everything before it was.
 */
import { crc32 } from 'node:zlib';

export const HEAD_BYTES = 64;
export const RECORD_HEAD_BYTES = 16;
export const MARK_BYTES = 24;
export const TRAILER_BYTES = 32;
export const FORMAT_VERSION = 1;
export const ID_BYTES = 16;

/** `TLMK`, `TLSE`; far above RECORD_BYTES_MAX. */
export const MARK_WORD = 0x4b4d4c54;
export const TRAILER_WORD = 0x45534c54;

const HIGH = 2 ** 32;

export type FileKind = 'segment' | 'snapshot';
const MAGIC: Readonly<Record<FileKind, string>> = { segment: 'TLJOURNL', snapshot: 'TLSNAPSH' };

export interface FileHead {
  readonly epoch: number;
  readonly journalId: Buffer;
  /** 16 bytes of chance. */
  readonly fileId: Buffer;
  /** Of a segment: its first record's. Of a snapshot: the first record's to be read on top of it. */
  readonly sequence: number;
  readonly flags: number;
}

export function writeUint64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % HIGH, at);
  bytes.writeUInt32LE(Math.floor(value / HIGH), at + 4);
}

export function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * HIGH;
}

export function encodeHead(kind: FileKind, head: FileHead): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.write(MAGIC[kind], 0, 'latin1');
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(head.epoch, 12);
  head.journalId.copy(bytes, 16);
  head.fileId.copy(bytes, 32);
  writeUint64(bytes, head.sequence, 48);
  bytes.writeUInt32LE(head.flags, 56);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** @returns the head, or what is wrong with it */
export function decodeHead(kind: FileKind, bytes: Buffer): FileHead | string {
  if (bytes.length < HEAD_BYTES) return `expected a head of ${HEAD_BYTES} bytes, got ${bytes.length}`;
  const magic = bytes.toString('latin1', 0, 8);
  if (magic !== MAGIC[kind]) return `expected it to begin with ${MAGIC[kind]}, got ${JSON.stringify(magic)}`;
  if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return 'its head does not match its checksum';
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION)
    return `expected format version ${FORMAT_VERSION}, got ${version}: use the Trunkline that wrote it`;
  return {
    epoch: bytes.readUInt32LE(12),
    journalId: Buffer.from(bytes.subarray(16, 32)),
    fileId: Buffer.from(bytes.subarray(32, 48)),
    sequence: readUint64(bytes, 48),
    flags: bytes.readUInt32LE(56),
  };
}

/** What the checksums of a file's records begin with (C1). */
export function seedOf(head: FileHead): number {
  return crc32(head.fileId);
}

/** Writes a record but for its checksum. @returns where the next one goes */
export function writeRecord(bytes: Buffer, at: number, payload: Uint8Array, sequence: number): number {
  bytes.writeUInt32LE(payload.length, at + 4);
  writeUint64(bytes, sequence, at + 8);
  bytes.set(payload, at + RECORD_HEAD_BYTES);
  return at + RECORD_HEAD_BYTES + payload.length;
}

export function writeChecksum(bytes: Buffer, at: number, end: number, seed: number): void {
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, end), seed), at);
}

export function checksumHolds(bytes: Buffer, at: number, end: number, seed: number): boolean {
  return crc32(bytes.subarray(at + 4, end), seed) === bytes.readUInt32LE(at);
}

/**
 * Makes a batch ready for its place: the mark in its first MARK_BYTES, and all checksums.
 * @param bytes room for a mark, then records without checksums up to `end`
 * @param sequence of the first record, or of the next one when there is none
 */
export function sealBatch(
  bytes: Buffer,
  end: number,
  place: { readonly seed: number; readonly offset: number; readonly sequence: number },
): void {
  bytes.writeUInt32LE(MARK_WORD, 4);
  writeUint64(bytes, place.sequence, 8);
  writeUint64(bytes, place.offset, 16);
  writeChecksum(bytes, 0, MARK_BYTES, place.seed);
  for (let at = MARK_BYTES; at < end; ) {
    const next = at + RECORD_HEAD_BYTES + bytes.readUInt32LE(at + 4);
    writeChecksum(bytes, at, next, place.seed);
    at = next;
  }
}

export function isMark(bytes: Buffer, at: number, offset: number, seed: number): boolean {
  return (
    bytes.readUInt32LE(at + 4) === MARK_WORD &&
    readUint64(bytes, at + 16) === offset &&
    checksumHolds(bytes, at, at + MARK_BYTES, seed)
  );
}
