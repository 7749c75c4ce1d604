/** A REQUEST frame that has come over a link: where it lies, where it came from, and when its time is up. */
import { remainingMsOf, requestClassOf, waitedMicrosOf } from '../envelope.ts';
import { DeadlineMember } from '../queue/deadline-list.ts';
import type { Queueable, QueueSeat } from '../queue/request-queue.ts';
import type { Link } from './link.ts';

/** The frame is `message[start..end)`; it came on `origin` under `streamId`, and the answer goes back there. */
export interface ReceivedFrame {
  readonly origin: Link;
  readonly streamId: number;
  readonly message: Buffer;
  readonly start: number;
  readonly end: number;
}

export class ReceivedRequest extends DeadlineMember implements Queueable {
  readonly origin: Link;
  readonly originStreamId: number;
  readonly message: Buffer;
  readonly start: number;
  readonly end: number;
  readonly requestClass: number;
  readonly queueBytes: number;
  takenFrom: QueueSeat | undefined;
  readonly receivedAtMs: number;
  /** Time spent in request queues so far, over all tiers, µs. */
  waitedMicros: number;
  #counted = true;

  constructor(frame: ReceivedFrame, nowMs: number) {
    super();
    const { message, start, end } = frame;
    this.origin = frame.origin;
    this.originStreamId = frame.streamId;
    this.message = message;
    this.start = start;
    this.end = end;
    this.requestClass = requestClassOf(message, start);
    this.queueBytes = end - start;
    this.receivedAtMs = nowMs;
    this.waitedMicros = waitedMicrosOf(message, start);
    this.deadlineAtMs = nowMs + remainingMsOf(message, start);
  }

  /** It has left its queue: its bytes no longer count against the sender's window. More than once does no harm. */
  release(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.origin.releaseReceived(this.queueBytes);
  }
}

/** The requests that a server works on, by the link and the stream they came on. */
export class RequestsByOrigin<Request extends ReceivedRequest> {
  readonly #byOrigin = new Map<Link, Map<number, Request>>();
  #size = 0;

  /** Requests taken and not yet answered. */
  get size(): number {
    return this.#size;
  }

  add(request: Request): void {
    let streams = this.#byOrigin.get(request.origin);
    if (streams === undefined) {
      streams = new Map();
      this.#byOrigin.set(request.origin, streams);
    }
    streams.set(request.originStreamId, request);
    this.#size++;
  }

  find(origin: Link, streamId: number): Request | undefined {
    return this.#byOrigin.get(origin)?.get(streamId);
  }

  /** Only for one that was added, once. */
  remove(request: Request): void {
    this.#byOrigin.get(request.origin)?.delete(request.originStreamId);
    this.#size--;
  }

  of(origin: Link): Request[] {
    return [...(this.#byOrigin.get(origin)?.values() ?? [])];
  }

  /** The link is gone, and all that came on it was removed before. */
  forget(origin: Link): void {
    this.#byOrigin.delete(origin);
  }
}
