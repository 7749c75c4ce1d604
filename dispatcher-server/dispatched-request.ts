/**
 * One request on its way through a dispatcher: a frame in the batch it came in, and where it stands.
 *
 *   queued ──▶ sent ──▶ done
 *     ▲ ▲       │ │
 *     │ └ held ◀┘ │
 *     └── retry ◀─┘
 *
 * The frame is never copied until it is written into the next link's batch; it is kept for a second try until then.
 */
import type { Peer } from '../shared/balance/peer-pool.ts';
import type { PlatformError } from '../shared/errors.ts';
import type { Link, StreamOwner } from '../shared/link/link.ts';
import { type ReceivedFrame, ReceivedRequest } from '../shared/link/received-request.ts';
import type { GroupLane } from './group-lane.ts';
import type { ShareSeat } from './group-share.ts';

export type DispatchPhase = 'queued' | 'sent' | 'held' | 'done';

/** Hears what happens to a request while it is out on a link to an app server. */
export interface DispatchListener {
  onReply(request: DispatchedRequest, message: Buffer, start: number, end: number): void;
  onError(request: DispatchedRequest, message: Buffer, start: number, end: number): void;
  onLost(request: DispatchedRequest, reason: PlatformError): void;
}

export class DispatchedRequest extends ReceivedRequest implements StreamOwner {
  phase: DispatchPhase = 'queued';
  readonly #listener: DispatchListener;
  queuedAtMs: number;
  sentAtMs = 0;
  attempt = 0;
  /** A try of it was lost on its way: it may have reached a handler. */
  wasLost = false;

  lane: GroupLane | undefined;
  /** What it takes up of its interface server's share of the group. */
  seat: ShareSeat | undefined;
  bucket = 0;
  /** Holds the key at `[accountKeyStart..accountKeyEnd)`; null: it is the one the path named. */
  accountKey: Buffer | null = null;
  accountKeyStart = 0;
  accountKeyEnd = 0;

  peer: Peer | undefined;
  link: Link | undefined;
  streamId = 0;

  constructor(listener: DispatchListener, frame: ReceivedFrame, nowMs: number) {
    super(frame, nowMs);
    this.#listener = listener;
    this.queuedAtMs = nowMs;
  }

  onReply(message: Buffer, start: number, end: number): void {
    this.#listener.onReply(this, message, start, end);
  }

  onError(message: Buffer, start: number, end: number): void {
    this.#listener.onError(this, message, start, end);
  }

  onLost(reason: PlatformError): void {
    this.#listener.onLost(this, reason);
  }
}
