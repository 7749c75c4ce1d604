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
  /** Kept by RequestsByOrigin: where this request stands among those of its origin. */
  originSlots: (ReceivedRequest | undefined)[] | undefined;
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
