/** Bounds of the database room that no configuration raises, each with its reason. Related ones are asserted below. */
import assert from 'node:assert/strict';
import { PARK_LIMITS } from '../shared/park/park-model.ts';

/** Writes waiting in one lane; one more is refused with STORE_BUSY. Above the most requests an app server runs at once. */
export const LANE_DEPTH_MAX = 8_192;

/** Requests in one commit: past this an fsync is already shared by so many that waiting longer only adds latency. */
export const BATCH_REQUESTS_MAX = 64;

/** A batch starts no further request once it is this old: it holds the write lock that other app servers wait for. */
export const BATCH_FILL_MS_MAX = 40;

/** A batch older than this is rolled back by the writer thread, in case the main thread is stuck. */
export const BATCH_HOLD_MS_MAX = 5_000;

/** One handler's write callback may take this long; it holds up everybody else in its lane. */
export const CALLBACK_MS_MAX = 1_000;

/** Statements of an overdue callback get this much longer to end before its whole batch is given up. */
export const STATEMENT_GRACE_MS = 2_500;

/** How often a write is tried again after a deadlock or lock wait; each try runs the callback again. */
export const WRITE_ATTEMPTS_MAX = 6;

/** Longest single wait for the write lock; the lane then looks at its deadlines and waits again. */
export const WRITE_LOCK_WAIT_MS_MAX = 250;

/** Pause between two tries for a SQLite write lock: well under a commit (~2 ms), so a gap between two is met. */
export const WRITE_LOCK_POLL_MS = 0.4;

/** Writing statements of one request; they are kept in the log and replayed. */
export const STATEMENTS_MAX = 1_000;

/** Text of one request's statements and parameters in the log. */
export const STATEMENTS_BYTES_MAX = 4 * 1024 * 1024;

/** Stored reply of one request. */
export const REPLY_BYTES_MAX = 1024 * 1024;

/** Parameters of one statement: what every SQLite and MySQL accepts. */
export const PARAMS_MAX = 999;

/** A lock's domain and node with a separator, and room for a prefix of the service's own; well within InnoDB's keys. */
export const FENCE_NAME_CHARS_MAX = 320;

/** Rows of one read: they are copied between threads and held in memory as a whole. */
export const READ_ROWS_MAX = 10_000;

/** Reads under way in one process; one more is refused with STORE_BUSY. */
export const READS_IN_FLIGHT_MAX = 16_384;

/** Prepared statements kept per connection, and verdicts of statement-rules.ts: services have far fewer texts. */
export const STATEMENT_CACHE_MAX = 256;

/** Log entries copied to a late follower in one transaction. */
export const CATCH_UP_CHUNK = 128;

/** Log entries a write copies to a late follower before it goes on; a longer way is left to the check. */
export const CATCH_UP_PER_WRITE_MAX = 1_024;

/** How often an idle store looks whether its replicas are in step: another app server may have died mid-commit. */
export const CHECK_EVERY_MS = 1_000;

/**
 * The log keeps at least this many newest entries, and everything younger than LOG_KEEP_MS. A day more than the seven
 * that clients are promised: an entry's age is told by wall clocks, which may be wrong, and by different ones.
 */
export const LOG_KEEP_ENTRIES = 1_000_000;
export const LOG_KEEP_MS = 8 * 24 * 3_600_000;

/** Old log entries deleted in one transaction, and how many such transactions one check makes. */
export const LOG_TRIM_CHUNK = 512;
export const LOG_TRIM_CHUNKS_PER_CHECK = 16;

assert.ok(BATCH_FILL_MS_MAX < WRITE_LOCK_WAIT_MS_MAX, 'a waiting app server must outlast one full batch of another');
assert.ok(CALLBACK_MS_MAX + STATEMENT_GRACE_MS < BATCH_HOLD_MS_MAX, 'one slow callback must not cost its whole batch');
assert.ok(2 * PARK_LIMITS.nameCharsMax < FENCE_NAME_CHARS_MAX, 'a fence must be able to bear the name of any node');
assert.ok(CATCH_UP_CHUNK <= CATCH_UP_PER_WRITE_MAX, 'a write must be able to copy one chunk');
