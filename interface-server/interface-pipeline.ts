/**
 * The way of a request through an interface server, in the order of the methods below:
 *
 *   accept ─▶ admission ─▶ route ─▶ body ─▶ request queue ─▶ scanner ─▶ a dispatcher's link
 *   client ◀─ reply writer ◀─ reply, error, loss (→ retry) or deadline
 *
 * I1: every admitted request gets one answer by its deadline, or its client has gone.
 * I2: the id that decides what counts as the same request is minted here; a client's own id never is.
 * I3: a request is sent again only when the link it went out on was lost or refused it, within the deadline, the
 *     attempts and the retry budget; its id makes that safe (its effect is recorded with the id).
 */
import type { PeerPool } from '../shared/balance/peer-pool.ts';
import { RetryBudget } from '../shared/balance/retry-budget.ts';
import type { Clock } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { DEADLINE_BLAME_MS } from '../shared/constants.ts';
import { errorWireOf, readError, replyIsWhole, statusOf, writeRequest } from '../shared/envelope.ts';
import { ERROR_KINDS, PlatformError } from '../shared/errors.ts';
import { requestIdText } from '../shared/ids.ts';
import type { Logger } from '../shared/log.ts';
import type { PublishedState, RouteEntry } from '../shared/published-state.ts';
import { DeadlineList } from '../shared/queue/deadline-list.ts';
import { RequestQueue } from '../shared/queue/request-queue.ts';
import { type HandedOn, Scanner } from '../shared/queue/scanner.ts';
import type { Tick } from '../shared/queue/tick.ts';
import { RouteTable } from '../shared/routing/route-table.ts';
import type { WebRequest, WebResponse } from '../shared/web-server.ts';
import { Admitter } from './admission.ts';
import { readBody } from './body-reader.ts';
import { Exchange, type ExchangeListener } from './exchange.ts';
import type { InterfaceMetrics } from './interface-metrics.ts';
import { type ProblemOptions, writeProblem, writeReplyFrame } from './reply-writer.ts';

export interface InterfacePipelineOptions {
  readonly config: ClusterConfig;
  readonly incarnation: string;
  readonly pool: PeerPool;
  readonly metrics: InterfaceMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly tick: Tick;
}

interface PublishedRoute {
  readonly entry: RouteEntry;
  readonly classIndex: number;
}

export class InterfacePipeline implements ExchangeListener {
  readonly #options: InterfacePipelineOptions;
  readonly #clock: Clock;
  readonly #pool: PeerPool;
  readonly #metrics: InterfaceMetrics;
  readonly #admitter: Admitter;
  readonly queue: RequestQueue<Exchange>;
  readonly scanner: Scanner<Exchange>;
  readonly #deadlines: DeadlineList<Exchange>;
  readonly #budget: RetryBudget;
  readonly #incarnationHigh: number;
  readonly #incarnationLow: number;
  #config: ClusterConfig;
  #routes: RouteTable<PublishedRoute> = RouteTable.build<PublishedRoute>([]);
  #counter = 0;
  #draining = false;
  /** Requests not yet answered. */
  inFlight = 0;

  constructor(options: InterfacePipelineOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#pool = options.pool;
    this.#metrics = options.metrics;
    this.#admitter = new Admitter(options.config.limits);
    this.queue = new RequestQueue(options.config.queues);
    this.scanner = new Scanner(this.queue, options.tick, (exchange) => this.#handOn(exchange));
    this.#deadlines = new DeadlineList(options.clock, (exchange) => this.#onDeadline(exchange));
    this.#budget = new RetryBudget(options.config.retries.budgetRatio);
    this.#incarnationHigh = Number.parseInt(options.incarnation.slice(0, 8), 16);
    this.#incarnationLow = Number.parseInt(options.incarnation.slice(8), 16);
  }

  /** Acts on what the coordinator published. */
  applyState(state: PublishedState): void {
    const { config, routes } = state;
    const classNames = Object.keys(config.queues);
    // First what can fail: a state that is refused must leave nothing half changed.
    this.#routes = RouteTable.build(
      routes.map((entry) => ({
        method: entry.method,
        pattern: entry.pattern,
        value: { entry, classIndex: Math.max(0, classNames.indexOf(entry.requestClass)) },
      })),
    );
    this.#config = config;
    this.#admitter.configure(config.limits);
    this.queue.configure(config.queues);
    this.#budget.ratio = config.retries.budgetRatio;
    this.scanner.wake();
  }

  /** A client's request has come; everything needed of `request` is read before this returns. */
  accept(response: WebResponse, request: WebRequest): void {
    const admitter = this.#admitter;
    const admission = admitter.admit(request);
    if (admission.kind === 'cut') {
      this.#metrics.cut.value++;
      this.#options.log.debug({ reason: admission.reason }, 'connection cut: ambiguous request');
      response.close();
      return;
    }
    const exchange = this.#begin(response);
    if (admission.kind === 'refused') return this.#fail(exchange, admission.error, { closeConnection: true });
    if (!this.#route(exchange)) return;
    if (admitter.contentLength === 0) return this.#enqueue(exchange);
    this.#readBody(exchange);
  }

  #begin(response: WebResponse): Exchange {
    const admitter = this.#admitter;
    const exchange = new Exchange(response, this);
    const nowMs = this.#clock.nowMs();
    exchange.receivedAtMs = nowMs;
    exchange.deadlineAtMs =
      nowMs + (admitter.timeoutMs === 0 ? this.#config.limits.requestTimeoutMs : admitter.timeoutMs);
    exchange.incarnationHigh = this.#incarnationHigh;
    exchange.incarnationLow = this.#incarnationLow;
    exchange.counter = ++this.#counter; // I2
    exchange.method = admitter.method;
    exchange.target = admitter.target;
    exchange.pathLength = admitter.pathLength;
    exchange.headerBlock = admitter.headerBlock;
    exchange.traceparent = admitter.traceparent;
    exchange.clientRequestId = admitter.clientRequestId;
    this.inFlight++;
    response.onAborted(() => this.#onAborted(exchange));
    return exchange;
  }

  /** Finds the route, and with it the request's class and the account key that the path names. */
  #route(exchange: Exchange): boolean {
    const path = exchange.target.slice(0, exchange.pathLength);
    const match = this.#routes.find(exchange.method, path);
    if (match.kind === 'found') {
      const { entry, classIndex } = match.value;
      exchange.requestClass = classIndex;
      if (entry.accountParam !== null) exchange.pathAccountKey = match.params[entry.accountParam] ?? '';
      return this.#takesContentType(exchange, entry);
    }
    if (match.kind === 'malformed') {
      this.#fail(
        exchange,
        new PlatformError('REQUEST_INVALID', 'expected a path percent-encoded as UTF-8, got one that does not decode'),
      );
      return false;
    }
    const allow = this.#routes.methodsOf(path);
    if (allow.length > 0) {
      const detail = `expected ${allow.join(' or ')} on this path, got ${exchange.method}`;
      this.#fail(exchange, new PlatformError('METHOD_NOT_ALLOWED', detail), { allow });
      return false;
    }
    this.#fail(
      exchange,
      new PlatformError('ROUTE_UNKNOWN', `no service has a route for ${exchange.method} ${path.slice(0, 200)}`),
    );
    return false;
  }

  #takesContentType(exchange: Exchange, entry: RouteEntry): boolean {
    const { contentType, contentLength } = this.#admitter;
    if (contentLength === 0 || entry.contentTypes.length === 0) return true;
    const semicolon = contentType.indexOf(';');
    const mediaType = (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
    if (entry.contentTypes.includes(mediaType)) return true;
    const detail = `expected a body of ${entry.contentTypes.join(' or ')}, got ${mediaType === '' ? 'no content-type' : mediaType}`;
    this.#fail(exchange, new PlatformError('CONTENT_TYPE_UNSUPPORTED', detail), { closeConnection: true });
    return false;
  }

  #readBody(exchange: Exchange): void {
    const { bodyBytesMax, slowClientMs } = this.#config.limits;
    const answerByMs = exchange.deadlineAtMs;
    const startedAtMs = exchange.receivedAtMs;
    exchange.deadlineAtMs = Math.min(answerByMs, startedAtMs + slowClientMs);
    this.#deadlines.add(exchange);
    readBody(exchange.response, bodyBytesMax, {
      onBody: (body) => {
        if (exchange.phase !== 'reading') return;
        this.#deadlines.remove(exchange);
        exchange.deadlineAtMs = answerByMs;
        exchange.body = body;
        this.#enqueue(exchange);
      },
      onTooLarge: (bytes) => {
        const detail = `expected a body of at most ${bodyBytesMax} bytes, got at least ${bytes}`;
        this.#fail(exchange, new PlatformError('BODY_TOO_LARGE', detail), { closeConnection: true });
      },
      onProgress: (graceMs) => {
        exchange.deadlineAtMs = Math.min(answerByMs, startedAtMs + slowClientMs + graceMs);
      },
    });
  }

  #enqueue(exchange: Exchange): void {
    exchange.weigh();
    exchange.phase = 'queued';
    exchange.queuedAtMs = this.#clock.nowMs();
    if (!this.queue.push(exchange)) {
      this.#fail(exchange, QUEUE_FULL);
      return;
    }
    this.#budget.noteRequest();
    this.#deadlines.add(exchange);
    this.scanner.wake();
  }

  /** The scanner's turn: out to a dispatcher. */
  #handOn(exchange: Exchange): HandedOn {
    if (exchange.phase === 'done') {
      this.queue.release(exchange); // X2: it expired or its client left while it waited
      return 'done';
    }
    const peer = this.#pool.choose(exchange.peer);
    const link = peer?.link;
    if (peer === undefined || link === undefined) {
      if (this.#pool.working.length > 0) return 'blocked';
      this.queue.release(exchange);
      this.#fail(exchange, NO_DISPATCHER);
      return 'done';
    }
    const nowMs = this.#clock.nowMs();
    exchange.remainingMs = Math.max(1, Math.round(exchange.deadlineAtMs - nowMs));
    exchange.waitedMicros += Math.round((nowMs - exchange.queuedAtMs) * 1000);
    exchange.sentAtMs = nowMs;
    exchange.peer = peer;
    exchange.link = link;
    exchange.phase = 'sent';
    exchange.wasSent = true;
    exchange.streamId = link.openStream(exchange);
    writeRequest(link.writer, exchange.streamId, exchange);
    link.endStreamFrame();
    return 'done';
  }

  onReply(exchange: Exchange, message: Buffer, start: number, end: number): void {
    if (!replyIsWhole(message, start, end)) {
      this.#back(exchange, true);
      this.#fail(exchange, new PlatformError('LINK_FRAME_INVALID', 'the dispatcher sent a reply that is cut short'));
      return;
    }
    const status = statusOf(message, start);
    this.#back(exchange, false);
    this.#finish(exchange, status);
    writeReplyFrame(
      exchange.response,
      { message, start, end },
      { requestId: this.#requestId(exchange), isHead: exchange.method === 'HEAD', closeConnection: this.#draining },
    );
  }

  onError(exchange: Exchange, message: Buffer, start: number, end: number): void {
    const wire = errorWireOf(message, start);
    const elsewhere = ELSEWHERE.has(wire);
    this.#back(exchange, elsewhere);
    if (elsewhere && this.#retry(exchange)) return;
    const { error, by, retryAfterMs } = readError(message, start, end);
    this.#fail(exchange, error, { by, retryAfterMs, outcomeUnknown: UNKNOWN.has(wire) });
  }

  onLost(exchange: Exchange, reason: PlatformError): void {
    this.#back(exchange, true);
    if (this.#retry(exchange)) return;
    const detail = `the connection to dispatcher ${exchange.peer?.id} was lost (${reason.code}) and the request could not be sent again in time`;
    this.#fail(exchange, new PlatformError('LINK_LOST', detail), { outcomeUnknown: true });
  }

  /** The exchange is back from its link: the queue may hand on another one. */
  #back(exchange: Exchange, failed: boolean): void {
    const nowMs = this.#clock.nowMs();
    if (exchange.peer !== undefined) this.#pool.recordReply(exchange.peer, failed, nowMs - exchange.sentAtMs);
    exchange.link = undefined;
    this.queue.release(exchange); // X2
    this.scanner.wake();
  }

  /** I3 @returns whether it was queued again */
  #retry(exchange: Exchange): boolean {
    if (exchange.attempt + 1 >= this.#config.retries.attemptsMax || exchange.deadlineAtMs <= this.#clock.nowMs())
      return false;
    if (!this.#budget.take()) return false;
    exchange.attempt++;
    exchange.phase = 'queued';
    exchange.queuedAtMs = this.#clock.nowMs();
    if (!this.queue.push(exchange)) return false;
    this.#metrics.retries.value++;
    this.scanner.wake();
    return true;
  }

  #onDeadline(exchange: Exchange): void {
    if (exchange.phase === 'reading') {
      const detail = `expected the whole body within ${this.#config.limits.slowClientMs} ms; send it faster`;
      this.#fail(exchange, new PlatformError('CLIENT_TOO_SLOW', detail), { closeConnection: true });
      return;
    }
    this.#recall(exchange, this.#clock.nowMs() - exchange.sentAtMs >= DEADLINE_BLAME_MS);
    const elapsedMs = Math.round(this.#clock.nowMs() - exchange.receivedAtMs);
    const where = exchange.wasSent
      ? 'in the cluster: it may have had its effect'
      : 'in the queue of the interface server: it had no effect';
    const detail = `no reply within ${elapsedMs} ms; the request was ${where}. It is safe to send again with an Idempotency-Key`;
    this.#fail(exchange, new PlatformError('DEADLINE_EXCEEDED', detail), { outcomeUnknown: exchange.wasSent });
  }

  #onAborted(exchange: Exchange): void {
    if (exchange.phase === 'done') return;
    this.#metrics.aborted.value++;
    this.#recall(exchange, false);
    this.#finish(exchange, 499);
  }

  /** Nobody waits for it any more: tells those who work on it. @param failed its peer is to blame */
  #recall(exchange: Exchange, failed: boolean): void {
    const link = exchange.link;
    if (exchange.phase !== 'sent' || link === undefined) return;
    link.cancelStream(exchange.streamId);
    this.#back(exchange, failed);
  }

  #fail(exchange: Exchange, error: PlatformError, options: Omit<ProblemOptions, 'requestId'> = {}): void {
    if (exchange.phase === 'done') return; // X1
    this.#finish(exchange, error.status);
    this.#metrics.failed(error.code);
    const requestId = this.#requestId(exchange);
    if (error.status >= 500 && error.status !== 503)
      this.#metrics.logFailure(this.#options.log, exchange, requestId, error);
    writeProblem(exchange.response, error, { ...options, requestId, isHead: exchange.method === 'HEAD' });
  }

  #finish(exchange: Exchange, status: number): void {
    exchange.phase = 'done';
    this.#deadlines.remove(exchange);
    this.inFlight--;
    this.#metrics.answered(status, this.#clock.nowMs() - exchange.receivedAtMs);
  }

  #requestId(exchange: Exchange): string {
    return requestIdText(this.#options.incarnation, exchange.counter);
  }

  /** Answers what is in flight and what still comes on open connections, and closes each with its answer. */
  drain(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  close(): void {
    this.#deadlines.close();
  }
}

/** Errors that another dispatcher may not have. */
const ELSEWHERE: ReadonlySet<number> = new Set([
  ERROR_KINDS.DRAINING.wire,
  ERROR_KINDS.NOT_READY.wire,
  ERROR_KINDS.NO_APP_SERVER.wire,
]);

/** Errors after which the effect may be there or not. */
const UNKNOWN: ReadonlySet<number> = new Set([
  ERROR_KINDS.DEADLINE_EXCEEDED.wire,
  ERROR_KINDS.LINK_LOST.wire,
  ERROR_KINDS.OUTCOME_UNKNOWN.wire,
  ERROR_KINDS.RETRY_BUDGET_SPENT.wire,
]);

const QUEUE_FULL = new PlatformError(
  'QUEUE_FULL',
  'the request queue of this interface server is full; try again after Retry-After',
);
const NO_DISPATCHER = new PlatformError('NO_DISPATCHER', 'no dispatcher works right now; try again after Retry-After');
