/** One request at its app server: a frame in the batch it came in, read lazily, and the one answer it gets. */
import {
  accountKeyOf,
  bucketOf,
  headerBlockOf,
  methodOf,
  requestBodyAt,
  requestIdOf,
  targetOf,
  traceparentOf,
} from '../shared/envelope.ts';
import type { PlatformError } from '../shared/errors.ts';
import { type ReceivedFrame, ReceivedRequest } from '../shared/link/received-request.ts';
import type { HandlerOutcome, HandlerReply, IncomingRequest } from './handler-runner.ts';

/** Takes the one outcome of a request. */
export interface AppAnswers {
  sendReply(request: AppRequest, reply: HandlerReply, nowMs: number | undefined): void;
  sendError(request: AppRequest, error: PlatformError): void;
}

export class AppRequest extends ReceivedRequest implements IncomingRequest, HandlerOutcome {
  readonly #answers: AppAnswers;
  /** `waiting` in the queue, `running` in a handler, or `done`: answered or cancelled. */
  phase: 'waiting' | 'running' | 'done' = 'waiting';
  startedAtMs = 0;
  dbMicros = 0;
  onCancel: (() => void) | null = null;

  constructor(answers: AppAnswers, frame: ReceivedFrame, nowMs: number) {
    super(frame, nowMs);
    this.#answers = answers;
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

  reply(reply: HandlerReply, nowMs?: number): void {
    this.#answers.sendReply(this, reply, nowMs);
  }

  fail(error: PlatformError): void {
    this.#answers.sendError(this, error);
  }
}
