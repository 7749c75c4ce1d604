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
import { remainingMsOf, requestClassOf, waitedMicrosOf } from '../shared/envelope.ts';
import type { PlatformError } from '../shared/errors.ts';
import type { Link, StreamOwner } from '../shared/link/link.ts';
import { DeadlineMember } from '../shared/queue/deadline-list.ts';
import type { Queueable, QueueSeat } from '../shared/queue/request-queue.ts';
import type { GroupLane } from './group-lane.ts';

export type DispatchPhase = 'queued' | 'sent' | 'held' | 'done';

/** Hears what happens to a request while it is out on a link to an app server. */
export interface DispatchListener {
  onReply(request: DispatchedRequest, message: Buffer, start: number, end: number): void;
  onError(request: DispatchedRequest, message: Buffer, start: number, end: number): void;
  onLost(request: DispatchedRequest, reason: PlatformError): void;
}

export class DispatchedRequest extends DeadlineMember implements StreamOwner, Queueable {
  phase: DispatchPhase = 'queued';
  readonly #listener: DispatchListener;

  /** Where it came from, and under which stream. */
  readonly origin: Link;
  readonly originStreamId: number;
  readonly message: Buffer;
  readonly start: number;
  readonly end: number;
  readonly requestClass: number;
  readonly queueBytes: number;
  takenFrom: QueueSeat | undefined;
  readonly receivedAtMs: number;
  queuedAtMs: number;
  sentAtMs = 0;
  waitedMicros: number;
  attempt = 0;
  /** A try of it was lost on its way: it may have reached a handler. */
  wasLost = false;
  /** Whether its bytes still count against the origin's window. */
  unreleased = true;

  lane: GroupLane | undefined;
  bucket = 0;
  accountKey: Buffer | null = null;

  peer: Peer | undefined;
  link: Link | undefined;
  streamId = 0;

  constructor(
    listener: DispatchListener,
    origin: { readonly link: Link; readonly streamId: number },
    frame: { readonly message: Buffer; readonly start: number; readonly end: number },
    nowMs: number,
  ) {
    super();
    this.#listener = listener;
    this.origin = origin.link;
    this.originStreamId = origin.streamId;
    this.message = frame.message;
    this.start = frame.start;
    this.end = frame.end;
    this.requestClass = requestClassOf(frame.message, frame.start);
    this.queueBytes = frame.end - frame.start;
    this.receivedAtMs = nowMs;
    this.queuedAtMs = nowMs;
    this.waitedMicros = waitedMicrosOf(frame.message, frame.start);
    this.deadlineAtMs = nowMs + remainingMsOf(frame.message, frame.start);
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
