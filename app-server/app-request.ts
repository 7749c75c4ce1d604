/** One request at its app server: a frame in the batch it came in, read lazily, and the one answer it gets. */
import {
  accountKeyOf,
  bucketOf,
  headerBlockOf,
  methodOf,
  remainingMsOf,
  requestBodyAt,
  requestClassOf,
  requestIdOf,
  targetOf,
  traceparentOf,
  waitedMicrosOf,
} from '../shared/envelope.ts';
import type { PlatformError } from '../shared/errors.ts';
import type { Link } from '../shared/link/link.ts';
import type { Queueable, QueueSeat } from '../shared/queue/request-queue.ts';
import type { HandlerOutcome, HandlerReply, IncomingRequest } from './handler-runner.ts';

/** Takes the one outcome of a request. */
export interface AppAnswers {
  sendReply(request: AppRequest, reply: HandlerReply): void;
  sendError(request: AppRequest, error: PlatformError): void;
}

export class AppRequest implements IncomingRequest, HandlerOutcome, Queueable {
  readonly origin: Link;
  readonly streamId: number;
  readonly message: Buffer;
  readonly start: number;
  readonly end: number;
  readonly requestClass: number;
  readonly queueBytes: number;
  takenFrom: QueueSeat | undefined;
  readonly queuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly #answers: AppAnswers;
  /** `waiting` in the queue, `running` in a handler, or `done`: answered or cancelled. */
  phase: 'waiting' | 'running' | 'done' = 'waiting';
  startedAtMs = 0;
  queueMicros: number;
  dbMicros = 0;
  onCancel: (() => void) | null = null;

  constructor(
    answers: AppAnswers,
    origin: { readonly link: Link; readonly streamId: number },
    frame: { readonly message: Buffer; readonly start: number; readonly end: number },
    nowMs: number,
  ) {
    this.#answers = answers;
    this.origin = origin.link;
    this.streamId = origin.streamId;
    this.message = frame.message;
    this.start = frame.start;
    this.end = frame.end;
    this.requestClass = requestClassOf(frame.message, frame.start);
    this.queueBytes = frame.end - frame.start;
    this.queuedAtMs = nowMs;
    this.deadlineAtMs = nowMs + remainingMsOf(frame.message, frame.start);
    this.queueMicros = waitedMicrosOf(frame.message, frame.start);
  }

  get requestId(): string {
    return requestIdOf(this.message, this.start);
  }

  get account(): string {
    return accountKeyOf(this.message, this.start);
  }

  get bucket(): number {
    return bucketOf(this.message, this.start);
  }

  get method(): string {
    return methodOf(this.message, this.start);
  }

  get target(): string {
    return targetOf(this.message, this.start);
  }

  get headerBlock(): string {
    return headerBlockOf(this.message, this.start);
  }

  get traceparent(): string {
    return traceparentOf(this.message, this.start);
  }

  get body(): Uint8Array {
    return this.message.subarray(requestBodyAt(this.message, this.start), this.end);
  }

  reply(reply: HandlerReply): void {
    this.#answers.sendReply(this, reply);
  }

  fail(error: PlatformError): void {
    this.#answers.sendError(this, error);
  }
}
