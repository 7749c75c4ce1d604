/** Bounds of the journal, each with its reason; those that depend on each other are asserted at load. */
import assert from 'node:assert/strict';
import { MARK_WORD, TRAILER_WORD } from './record-codec.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Payload of one record: a transaction of 64 values of 1 MiB, each of them JSON text that is quoted once more. */
export const RECORD_BYTES_MAX = 160 * MIB;

/** Once so much waits for the disk nothing more is taken: a disk that stands still must not eat the memory. */
export const UNFLUSHED_BYTES_MAX = 64 * MIB;

/** The same in records. What counts its revisions by them knows how many a crash can take back at most. */
export const UNFLUSHED_RECORDS_MAX = 262_144;

/** A segment is followed by another one at this size: large enough that making one costs nothing, small enough to drop. */
export const SEGMENT_BYTES_MAX = 64 * MIB;

/** `async` records reach the disk this much later at most, and what a crash takes back is no older. */
export const FLUSH_EVERY_MS = 10;

/** After so long without a record the end is marked as durable: from then on damage there is told from a torn end. */
export const SEAL_AFTER_MS = 1_000;

/** How often a journal whose disk was full tries again. */
export const PROBE_EVERY_MS = 500;

/** What a try must be able to write: enough for the first flushes, or a disk nearly full would open and shut the journal. */
export const PROBE_BYTES = 256 * KIB;

/** First size of an append buffer, and the largest that is kept for the next batch. */
export const APPEND_BUFFER_BYTES = 256 * KIB;
export const APPEND_BUFFER_KEPT_BYTES = 8 * MIB;

/** Files are read in pieces of this size: large enough that the calls do not count. */
export const READ_CHUNK_BYTES = 4 * MIB;

/** A snapshot is written in pieces of this size, */
export const SNAPSHOT_CHUNK_BYTES = 512 * KIB;
/** and synced every so many bytes: a flush of the journal waits for whatever the disk has to write before it. */
export const SNAPSHOT_SYNC_BYTES = 4 * MIB;

/** Readers of the stream at a time: checkpointers, and an operator's look. Each has a file open and a chunk in memory. */
export const FOLLOWERS_MAX = 16;

/** What one call of a follower returns, unless one record is larger. */
export const FOLLOWER_CHUNK_BYTES = MIB;

assert.ok(RECORD_BYTES_MAX < Math.min(MARK_WORD, TRAILER_WORD), 'a length must not be taken for a mark or a trailer');
assert.ok(UNFLUSHED_BYTES_MAX + RECORD_BYTES_MAX < 1024 * MIB, 'a batch must fit one buffer');
