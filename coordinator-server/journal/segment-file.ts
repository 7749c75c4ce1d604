/**
 * One segment of the journal, and how its files are named and made.
 *
 * G1: a segment appears under its name when its head is on the disk, and only after everything in the segments before it
 *     is: so all but the last segment must be whole.
 */
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';
import { type JournalFile, type JournalFiles, readAll, unlinkIfThere, writeAll } from './journal-files.ts';
import { PROBE_BYTES } from './journal-limits.ts';
import { decodeHead, encodeHead, type FileHead, HEAD_BYTES, seedOf } from './record-codec.ts';

export interface Segment {
  readonly path: string;
  readonly head: FileHead;
  readonly seed: number;
  /** Of its first record. */
  readonly first: number;
  /** All of them on the disk. */
  bytes: number;
}

const NAME = /^(\d{16})\.(journal|snapshot)$/;

export function segmentName(first: number): string {
  return `${String(first).padStart(16, '0')}.journal`;
}

export function snapshotName(fromSequence: number): string {
  return `${String(fromSequence).padStart(16, '0')}.snapshot`;
}

export function snapshotPath(folder: string, fromSequence: number): string {
  return path.join(folder, snapshotName(fromSequence));
}

/** @returns undefined for what is neither a segment nor a snapshot */
export function parseName(
  name: string,
): { readonly sequence: number; readonly kind: 'journal' | 'snapshot' } | undefined {
  const [, digits = '', kind] = NAME.exec(name) ?? [];
  return kind === 'journal' || kind === 'snapshot' ? { sequence: Number(digits), kind } : undefined;
}

/** A segment or snapshot that a crash kept from getting its name. */
export function isLeftOver(name: string): boolean {
  return name.endsWith('.tmp') && parseName(name.replace(/^adopted\./, '').slice(0, -'.tmp'.length)) !== undefined;
}

/**
 * @param roomBytes tried whether they can be written, and given back
 * @throws what the file system throws; then the segment is not there, unless `syncFolder` threw
 */
export async function createSegment(
  files: JournalFiles,
  folder: string,
  head: FileHead,
  roomBytes = 0,
): Promise<{ readonly segment: Segment; readonly file: JournalFile }> {
  const target = path.join(folder, segmentName(head.sequence));
  const temporary = `${target}.tmp`;
  const file = await files.open(temporary, 'w');
  try {
    await writeAll(file, encodeHead('segment', head), HEAD_BYTES, 0);
    if (roomBytes > 0) await writeAll(file, Buffer.alloc(roomBytes), roomBytes, HEAD_BYTES);
    await file.datasync();
    if (roomBytes > 0) {
      await file.truncate(HEAD_BYTES);
      await file.datasync();
    }
    await files.rename(temporary, target); // G1
  } catch (thrown) {
    await file.close().catch(() => undefined);
    await unlinkIfThere(files, temporary);
    throw thrown;
  }
  const segment = { path: target, head, seed: seedOf(head), first: head.sequence, bytes: HEAD_BYTES };
  return { segment, file };
}

export const PROBE_ROOM_BYTES = PROBE_BYTES - HEAD_BYTES;

/** @throws PlatformError JOURNAL_CORRUPT when its head is not sound */
export async function readSegment(files: JournalFiles, folder: string, first: number): Promise<Segment> {
  const file = path.join(folder, segmentName(first));
  const handle = await files.open(file, 'r');
  try {
    const bytes = Buffer.alloc(HEAD_BYTES);
    const head = decodeHead('segment', bytes.subarray(0, await readAll(handle, bytes, HEAD_BYTES, 0)));
    if (typeof head === 'string') throw corrupt(file, `record ${first}, byte 0`, head);
    if (head.sequence !== first)
      throw corrupt(file, `record ${first}, byte 48`, `its head says it begins at ${head.sequence}`);
    return { path: file, head, seed: seedOf(head), first, bytes: await handle.size() };
  } finally {
    await handle.close();
  }
}

const ADVICE = 'Restore the folder from a copy, or promote the checkpointer; see docs/errors.md#journal-corrupt';

/** @param place record and byte offset */
export function corrupt(file: string, place: string, what: string): PlatformError {
  return new PlatformError('JOURNAL_CORRUPT', `${file}: ${place}: ${what}. ${ADVICE}`);
}
