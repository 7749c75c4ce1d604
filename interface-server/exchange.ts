/**
 * One client's request from its admission to its reply: what is waited for, in a union of phases.
 *
 *   reading ──▶ queued ──▶ sent ──▶ done
 *                 ▲          │
 *                 └─ retry ──┘
 *
 * X1: the client gets exactly one answer, unless it went away: `done` is final.
 * X2: an exchange that was taken from the queue is released there exactly once, when it is done or queued again.
 */
import type { Peer } from '../shared/balance/peer-pool.ts';
import type { RequestFields } from '../shared/envelope.ts';
import type { PlatformError } from '../shared/errors.ts';
import type { Link, StreamOwner } from '../shared/link/link.ts';
import { DeadlineMember } from '../shared/queue/deadline-list.ts';
import type { Queueable, QueueSeat } from '../shared/queue/request-queue.ts';
import type { WebResponse } from '../shared/web-server.ts';

export type ExchangePhase = 'reading' | 'queued' | 'sent' | 'done';

/** Hears what happens to an exchange while it is out on a link. */
export interface ExchangeListener {
  onReply(exchange: Exchange, message: Buffer, start: number, end: number): void;
  onError(exchange: Exchange, message: Buffer, start: number, end: number): void;
  onLost(exchange: Exchange, reason: PlatformError): void;
}

/** Bytes an exchange costs in memory beside its texts and body; an estimate for the queue's byte bound. */
const OVERHEAD_BYTES = 512;

export class Exchange extends DeadlineMember implements StreamOwner, Queueable, RequestFields {
  phase: ExchangePhase = 'reading';
  readonly response: WebResponse;
  readonly #listener: ExchangeListener;

  requestClass = 0;
  queueBytes = OVERHEAD_BYTES;
  takenFrom: QueueSeat | undefined;
  /** When the client's request came, and when it was queued last; ms on the monotonic clock. */
  receivedAtMs = 0;
  queuedAtMs = 0;
  sentAtMs = 0;
  /** When the client must have its answer. `deadlineAtMs` is when the present phase must be over, if that is sooner. */
  answerByMs = 0;
  /** Requests that were ahead of it in the queue. */
  placesAhead = 0;

  remainingMs = 0;
  incarnationHigh = 0;
  incarnationLow = 0;
  counter = 0;
  attempt = 0;
  pathAccountKey = '';
  method = '';
  path = '';
  query = '';
  traceparent = '';
  headerBlock = '';
  clientRequestId = '';
  body: Uint8Array | null = null;
  /** Nothing behind it may be taken for another request (A2 of admission.ts). */
  lastOfConnection = false;
  waitedMicros = 0;

  /** Where it was sent last. */
  peer: Peer | undefined;
  link: Link | undefined;
  streamId = 0;
  /** A try of it was lost on its way: it may have reached a handler. */
  wasLost = false;

  constructor(response: WebResponse, listener: ExchangeListener) {
    super();
    this.response = response;
    this.#listener = listener;
  }

  /** For the queue's byte bound. */
  weigh(): void {
    const textLength = this.path.length + this.query.length + this.headerBlock.length;
    this.queueBytes = OVERHEAD_BYTES + textLength + (this.body?.length ?? 0);
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
