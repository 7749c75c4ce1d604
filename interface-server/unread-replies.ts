/**
 * Answers that leave slower than they are written: their client does not read, or still sends what nobody wants.
 *
 * U1: an answer that has not left keeps its response pending, and uWebSockets.js cuts off a connection that sends another
 *     request meanwhile. So a connection has one unread answer in memory, and not one for each request it sends.
 * U2: what all connections together have not read is bounded: past that, the one that has waited longest is cut off.
 * U3: a client that reads nothing is cut off by uWebSockets.js after 10 s; one that reads by drops, by our own deadline.
 * U4: an answer that lingers keeps its response pending until the connection ends, so that no byte behind its request is
 *     ever taken for another one; the time is for a client that is still sending, to see the answer before the end.
 */
import type { Clock } from '../shared/clock.ts';
import { DeadlineList, DeadlineMember } from '../shared/queue/deadline-list.ts';
import type { Random } from '../shared/random.ts';
import type { WebResponse } from '../shared/web-server.ts';
import { BYTES_PER_MS_MIN } from './body-reader.ts';

/** U2: as much as the requests that wait may take up, by default. */
export const UNREAD_BYTES_MAX = 64 * 1024 * 1024;

/** U4: a round trip to the other side of the world, and a client's turn. */
export const LINGER_MS = 1_000;

/**
 * Only asking the server for a partial write tells whether its client reads, and that costs 0.3 µs. Answers up to this
 * size are asked about now and then: the server holds a few of them before U1 takes hold.
 */
const SMALL_BYTES = 16 * 1024;
const PROBED_RATIO = 1 / 16;

/** Answers without a body cannot be asked about at all. In their place one in so many is the last of its connection. */
const BODILESS_LAST_RATIO = 1 / 256;

class UnreadReply extends DeadlineMember {
  readonly response: WebResponse;
  /** What had not left at first; empty for an answer that lingers. */
  readonly rest: Uint8Array;

  constructor(response: WebResponse, rest: Uint8Array) {
    super();
    this.response = response;
    this.rest = rest;
  }
}

const NOTHING = new Uint8Array(0);

export interface UnreadRepliesOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** An answer was not read in time, or not by the time others needed its room. */
  readonly onCut: () => void;
}

export class UnreadReplies {
  readonly #options: UnreadRepliesOptions;
  readonly #deadlines: DeadlineList<UnreadReply>;
  /** In the order they came. */
  readonly #held = new Set<UnreadReply>();
  #bytes = 0;
  /** `limits.slowClientMs` */
  slowClientMs: number;

  constructor(options: UnreadRepliesOptions, slowClientMs: number) {
    this.#options = options;
    this.slowClientMs = slowClientMs;
    this.#deadlines = new DeadlineList(options.clock, (reply) => this.#cut(reply));
  }

  /** Answers of which something has not left. */
  get held(): number {
    return this.#held.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Ends a response whose head is written; the connection stays. */
  end(response: WebResponse, body: Uint8Array): void {
    if (body.length <= SMALL_BYTES && this.#options.random.float() >= PROBED_RATIO) {
      response.end(body);
      return;
    }
    const [, done] = response.tryEnd(body, body.length);
    if (!done) this.#hold(response, body);
  }

  /** Whether the next answer without a body is to be the last of its connection, and linger. */
  bodilessIsLast(): boolean {
    return this.#options.random.float() < BODILESS_LAST_RATIO;
  }

  /** U4. Its head and body are written, by writeLastAnswer(). */
  linger(response: WebResponse): void {
    const reply = new UnreadReply(response, NOTHING);
    reply.deadlineAtMs = this.#options.clock.nowMs() + LINGER_MS;
    this.#deadlines.add(reply);
    response.onAborted(() => this.#deadlines.remove(reply));
  }

  /** U1 */
  #hold(response: WebResponse, body: Uint8Array): void {
    const from = response.getWriteOffset();
    // A copy: the body is a part of a message that may hold many others.
    const reply = new UnreadReply(response, Uint8Array.from(body.subarray(from)));
    reply.deadlineAtMs = this.#options.clock.nowMs() + this.slowClientMs + reply.rest.length / BYTES_PER_MS_MIN; // U3
    this.#deadlines.add(reply);
    this.#held.add(reply);
    this.#bytes += reply.rest.length;
    response.onAborted(() => this.#forget(reply));
    response.onWritable((at) => {
      const [ok, done] = response.tryEnd(reply.rest.subarray(at - from), body.length);
      if (done) this.#forget(reply);
      return ok;
    });
    while (this.#bytes > UNREAD_BYTES_MAX) {
      const [oldest] = this.#held; // U2
      if (oldest === undefined) return;
      this.#cut(oldest);
    }
  }

  #forget(reply: UnreadReply): void {
    this.#deadlines.remove(reply);
    if (this.#held.delete(reply)) this.#bytes -= reply.rest.length;
  }

  #cut(reply: UnreadReply): void {
    if (this.#held.has(reply)) this.#options.onCut();
    this.#forget(reply);
    reply.response.close();
  }

  /** RFC 9110 § 5.6.7, for answers that uWebSockets.js puts no date on. */
  httpDate(): string {
    return new Date(this.#options.clock.wallMs()).toUTCString();
  }

  close(): void {
    this.#deadlines.close();
  }
}
