/** Bounds that no configuration raises, each with its reason; those that depend on each other are asserted at load. */
import assert from 'node:assert/strict';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Longest frame any link accepts: the largest body a config may allow (64 MiB) and its envelope. */
export const FRAME_BYTES_MAX = 65 * MIB;

/** Envelope of a request beside its body: target (16 KiB), headers (64 Ki characters of up to 3 bytes), key, and room. */
export const ENVELOPE_BYTES_MAX = 256 * KIB;

/** A NOTICE carries JSON (a published state, a manifest): room for 1,000 routes and 200 servers ten times over. */
export const NOTICE_BYTES_MAX = 4 * MIB;

/** A batch is sent at the end of the tick, or once it holds this much: past 64 KiB a write gains nothing more. */
export const BATCH_BYTES_MAX = 64 * KIB;

/** First size of a link's batch buffer; it grows on need and shrinks back. */
export const BATCH_BUFFER_BYTES = 16 * KIB;

/** Requests in flight on one link: a slot number must fit 16 bits of the stream id. */
export const LINK_STREAMS_MAX = 16_384;

/** Bytes of requests or replies a peer may have sent that were not yet taken up; bounds a slow peer's memory. */
export const LINK_WINDOW_BYTES = 8 * MIB;

/** Replies that wait for a peer's window; past this the peer does not read, and is cut off. */
export const REPLIES_HELD_BYTES_MAX = 64 * MIB;

/** A peer that greets must be done in this time. */
export const LINK_HELLO_TIMEOUT_MS = 3_000;

/** Largest HELLO or AUTH: ids and a proof, nothing else. Keeps a stranger from making us parse much. */
export const HELLO_BYTES_MAX = 4 * KIB;

/** Connections that have not greeted yet, per listener: each may have sent nearly one message of the largest size, so
 * strangers can make a server hold this many of those, and no more. A peer is done greeting within milliseconds. */
export const LINK_GREETING_MAX = 64;

/** First and longest pause between two dials; half of each is random. A refused dial costs microseconds, and a peer that
 * is back must not wait for it: a cluster is whole again within seconds. */
export const REDIAL_MS_MIN = 50;
export const REDIAL_MS_MAX = 500;

/** A peer that has not answered for so long is stopped or gone: a server that drains waits no longer for it. */
export const DRAIN_HEARD_MS_MAX = 500;

/** A deadline that passes sooner says more about the client's patience than about the peer's health. */
export const DEADLINE_BLAME_MS = 1_000;

/** How long requests wait when every peer that could take them is gone: a server that was killed or restarted is back
 * within 2 s, so clients see latency and no error; a longer outage is said at once. Well under the usual deadline (10 s). */
export const OUTAGE_HOLD_MS = 3_000;

/** Requests that a dispatcher lets wait for a group without app servers. A few hundred, not a queue full: they take up
 * the concurrency of interface servers, which the other groups need. */
export const OUTAGE_HELD_MAX = 256;

/** Requests a hold gate keeps while a map or view changes; one more is refused with what it was held for. */
export const HOLD_REQUESTS_MAX = 4_096;

/** Bytes of what a hold gate keeps: they count against no window any more, so they need a bound of their own. */
export const HOLD_BYTES_MAX = 64 * MIB;

assert.ok(LINK_STREAMS_MAX <= 65_536, 'a slot must fit 16 bits of the stream id');
assert.ok(BATCH_BUFFER_BYTES <= BATCH_BYTES_MAX, 'a batch must be allowed to fill its first buffer');
assert.ok(NOTICE_BYTES_MAX + ENVELOPE_BYTES_MAX <= FRAME_BYTES_MAX, 'a notice must fit a frame');
