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
import {
  dispatchMicrosOf,
  errorWireOf,
  handlerMicrosOf,
  readError,
  replyIsWhole,
  statusOf,
  wasLostOf,
  writeRequest,
} from '../shared/envelope.ts';
import { PlatformError } from '../shared/errors.ts';
import { requestIdText } from '../shared/ids.ts';
import type { Logger } from '../shared/log.ts';
import type { PublishedState, TakenOut } from '../shared/published-state.ts';
import { DeadlineList } from '../shared/queue/deadline-list.ts';
import { RequestQueue } from '../shared/queue/request-queue.ts';
import { type HandedOn, Scanner } from '../shared/queue/scanner.ts';
import type { Tick } from '../shared/queue/tick.ts';
import { systemRandom } from '../shared/random.ts';
import { timeForNextHop } from '../shared/time-for-next-hop.ts';
import type { WebRequest, WebResponse } from '../shared/web-server.ts';
import { Admitter } from './admission.ts';
import { readBody } from './body-reader.ts';
import { Exchange, type ExchangeListener } from './exchange.ts';
import { ELSEWHERE, IN_MAINTENANCE, NO_DISPATCHER, PEER_FAILED, SAYS_NOTHING, UNKNOWN } from './failures.ts';
import type { InterfaceMetrics } from './interface-metrics.ts';
import { contentTypeRefusal, PublishedRoutes } from './published-routes.ts';
import { QueueDoor } from './queue-door.ts';
import { type ProblemOptions, ReplyWriter } from './reply-writer.ts';
import { UnreadReplies } from './unread-replies.ts';

export interface InterfacePipelineOptions {
  readonly config: ClusterConfig;
  readonly incarnation: string;
  readonly pool: PeerPool;
  readonly metrics: InterfaceMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly tick: Tick;
}

export class InterfacePipeline implements ExchangeListener {
  readonly #options: InterfacePipelineOptions;
  readonly #clock: Clock;
  readonly #tick: Tick;
  readonly #pool: PeerPool;
  readonly #metrics: InterfaceMetrics;
  readonly #admitter: Admitter;
  readonly queue: RequestQueue<Exchange>;
  readonly scanner: Scanner<Exchange>;
  readonly #deadlines: DeadlineList<Exchange>;
  readonly #budget: RetryBudget;
  readonly #replies: ReplyWriter;
  readonly unread: UnreadReplies;
  readonly #door: QueueDoor;
  readonly #incarnationHigh: number;
  readonly #incarnationLow: number;
  #config: ClusterConfig;
  readonly #routes = new PublishedRoutes();
  #counter = 0;
  #draining = false;
  /** By an operator: drain answers with `connection: close`, maint refuses. */
  takenOut: TakenOut | undefined;
  /** Requests not yet answered. */
  inFlight = 0;

  constructor(options: InterfacePipelineOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#tick = options.tick;
    this.#pool = options.pool;
    this.#metrics = options.metrics;
    this.#admitter = new Admitter(options.config.limits);
    this.queue = new RequestQueue(options.config.queues);
    this.#door = new QueueDoor(this.queue);
    this.scanner = new Scanner(this.queue, options.tick, (exchange) => this.#handOn(exchange));
    this.#deadlines = new DeadlineList(options.clock, (exchange) => this.#onDeadline(exchange));
    this.#budget = new RetryBudget(options.config.retries.budgetRatio);
    const { clock, metrics } = options;
    this.unread = new UnreadReplies(
      { clock, random: systemRandom, onCut: () => metrics.unreadCut.value++ },
      options.config.limits.slowClientMs,
    );
    this.#replies = new ReplyWriter(options.incarnation, this.unread);
    this.#incarnationHigh = Number.parseInt(options.incarnation.slice(0, 8), 16);
    this.#incarnationLow = Number.parseInt(options.incarnation.slice(8), 16);
  }

  /** Acts on what the coordinator published. */
  applyState(state: PublishedState): void {
    const { config } = state;
    this.#routes.apply(state); // first what can fail: a state that is refused must leave nothing half changed
    this.#config = config;
    this.#admitter.configure(config.limits);
    this.unread.slowClientMs = config.limits.slowClientMs;
    this.queue.configure(config.queues);
    this.#budget.ratio = config.retries.budgetRatio;
    this.scanner.wake();
  }

  /** A client's request has come; everything needed of `request` is read before this returns. */
  accept(response: WebResponse, request: WebRequest): void {
    if (!this.#admits(response, request)) return;
    const exchange = this.#begin(response);
    if (this.takenOut === 'maint') return this.#fail(exchange, IN_MAINTENANCE);
    if (!this.#route(exchange)) return;
    if (this.#admitter.contentLength === 0) return this.#enqueue(exchange, exchange.receivedAtMs);
    this.#readBody(exchange);
  }

  /** @returns whether a request that is answered right here, and has no body, is let in; if not, it has been dealt with */
  admitsBodiless(response: WebResponse, request: WebRequest): boolean {
    if (!this.#admits(response, request)) return false;
    if (this.#admitter.contentLength === 0) return true;
    this.#fail(this.#begin(response), new PlatformError('REQUEST_INVALID', 'expected no body here'), { isLast: true });
    return false;
  }

  #admits(response: WebResponse, request: WebRequest): boolean {
    const admission = this.#admitter.admit(request);
    if (admission.kind === 'admitted') return true;
    if (admission.kind === 'refused') {
      this.#fail(this.#begin(response), admission.error, { isLast: true });
      return false;
    }
    this.#metrics.cut.value++;
    this.#options.log.debug({ reason: admission.reason }, 'connection cut: ambiguous request');
    response.close();
    return false;
  }

  #begin(response: WebResponse): Exchange {
    const admitter = this.#admitter;
    const exchange = new Exchange(response, this);
    const nowMs = this.#tick.nowMs;
    exchange.receivedAtMs = nowMs;
    exchange.answerByMs =
      nowMs + (admitter.timeoutMs === 0 ? this.#config.limits.requestTimeoutMs : admitter.timeoutMs);
    exchange.incarnationHigh = this.#incarnationHigh;
    exchange.incarnationLow = this.#incarnationLow;
    exchange.counter = ++this.#counter; // I2
    exchange.method = admitter.method;
    exchange.path = admitter.path;
    exchange.query = admitter.query;
    exchange.headerBlock = admitter.headerBlock;
    exchange.traceparent = admitter.traceparent;
    exchange.clientRequestId = admitter.clientRequestId;
    exchange.lastOfConnection = admitter.lastOfConnection;
    this.inFlight++;
    response.onAborted(() => this.#onAborted(exchange));
    return exchange;
  }

  /** Finds the route, and with it the request's class and the account key that the path names. */
  #route(exchange: Exchange): boolean {
    const verdict = this.#routes.find(exchange.method, exchange.path);
    if (verdict.kind === 'refused') {
      this.#fail(exchange, verdict.error, verdict.allow === undefined ? {} : { allow: verdict.allow });
      return false;
    }
    exchange.requestClass = verdict.requestClass;
    exchange.pathAccountKey = verdict.pathAccountKey;
    const { contentLength, contentType } = this.#admitter;
    const refusal = contentLength === 0 ? undefined : contentTypeRefusal(verdict.entry, contentType);
    if (refusal !== undefined) this.#fail(exchange, refusal, { isLast: true });
    return refusal === undefined;
  }

  #readBody(exchange: Exchange): void {
    const { bodyBytesMax, slowClientMs } = this.#config.limits;
    const { answerByMs } = exchange;
    const startedAtMs = exchange.receivedAtMs;
    exchange.deadlineAtMs = Math.min(answerByMs, startedAtMs + slowClientMs);
    this.#deadlines.add(exchange);
    readBody(exchange.response, bodyBytesMax, {
      onBody: (body) => {
        if (exchange.phase !== 'reading') return;
        this.#deadlines.remove(exchange);
        exchange.body = body;
        this.#enqueue(exchange, this.#clock.nowMs());
      },
      onTooLarge: (bytes) => {
        const detail = `expected a body of at most ${bodyBytesMax} bytes, got at least ${bytes}`;
        this.#fail(exchange, new PlatformError('BODY_TOO_LARGE', detail), { isLast: true });
      },
      onProgress: (graceMs) => {
        exchange.deadlineAtMs = Math.min(answerByMs, startedAtMs + slowClientMs + graceMs);
      },
    });
  }

  #enqueue(exchange: Exchange, nowMs: number): void {
    exchange.weigh();
    exchange.phase = 'queued';
    const refusal = this.#door.enter(exchange, nowMs);
    if (refusal !== undefined) return this.#fail(exchange, refusal, { retryAfterMs: this.#door.waitMs(exchange) });
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
      if (this.#pool.working.length > 0 || this.#pool.awaitsPeer) return 'blocked';
      this.queue.release(exchange);
      this.#fail(exchange, NO_DISPATCHER, { outcomeUnknown: exchange.wasLost });
      return 'done';
    }
    const nowMs = this.#tick.nowMs;
    const waitedMs = this.#door.leave(exchange, nowMs);
    exchange.remainingMs = timeForNextHop(exchange.answerByMs - nowMs);
    exchange.waitedMicros += Math.round(waitedMs * 1000);
    exchange.sentAtMs = nowMs;
    exchange.peer = peer;
    exchange.link = link;
    exchange.phase = 'sent';
    exchange.streamId = link.openStream(exchange);
    writeRequest(link.writer, exchange.streamId, exchange);
    link.endStreamFrame();
    return 'done';
  }

  onReply(exchange: Exchange, message: Buffer, start: number, end: number): void {
    if (!replyIsWhole(message, start, end)) {
      this.#back(exchange, true);
      const error = new PlatformError('LINK_FRAME_INVALID', 'the dispatcher sent a reply that is cut short');
      this.#fail(exchange, error, { outcomeUnknown: true });
      return;
    }
    const status = statusOf(message, start);
    const nowMs = this.#tick.nowMs;
    // Held requests, app servers and handlers are behind the dispatcher: their time says nothing about itself.
    const behindMs = (dispatchMicrosOf(message, start) + handlerMicrosOf(message, start)) / 1000;
    this.#back(exchange, false, Math.max(0, nowMs - exchange.sentAtMs - behindMs));
    this.#finish(exchange, status, nowMs);
    const closeConnection = this.draining || exchange.lastOfConnection;
    this.#replies.write(
      exchange.response,
      { message, start, end },
      { counter: exchange.counter, isHead: exchange.method === 'HEAD', closeConnection },
    );
  }

  onError(exchange: Exchange, message: Buffer, start: number, end: number): void {
    const wire = errorWireOf(message, start);
    this.#back(exchange, SAYS_NOTHING.has(wire) ? undefined : PEER_FAILED.has(wire));
    if (ELSEWHERE.has(wire) && this.#retry(exchange)) return;
    const { error, by, retryAfterMs } = readError(message, start, end);
    const wasLost = exchange.wasLost || wasLostOf(message, start);
    const outcomeUnknown = UNKNOWN.has(wire) || (wasLost && error.retryable);
    this.#fail(exchange, error, { by, retryAfterMs, outcomeUnknown });
  }

  onLost(exchange: Exchange, reason: PlatformError): void {
    exchange.wasLost = true;
    this.#back(exchange, reason.code === 'LINK_PEER_SILENT' ? undefined : true);
    if (this.#retry(exchange)) return;
    const detail = `the connection to dispatcher ${exchange.peer?.id} was lost (${reason.code}) and the request could not be sent again in time`;
    this.#fail(exchange, new PlatformError('LINK_LOST', detail), { outcomeUnknown: true });
  }

  /**
   * The exchange is back from its link: the queue may hand on another one.
   * @param failed whether its peer is to blame; undefined when its end says nothing about the peer
   * @param latencyMs of the peer itself, where that is known
   */
  #back(exchange: Exchange, failed: boolean | undefined, latencyMs?: number): void {
    const { peer } = exchange;
    if (peer !== undefined && failed !== undefined) this.#pool.recordReply(peer, failed, latencyMs);
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
    if (!this.#door.enterAgain(exchange, this.#clock.nowMs())) return false;
    this.#metrics.retries.value++;
    this.scanner.wake();
    return true;
  }

  #onDeadline(exchange: Exchange): void {
    if (exchange.phase === 'reading') {
      const detail = `expected the whole body within ${this.#config.limits.slowClientMs} ms; send it faster`;
      this.#fail(exchange, new PlatformError('CLIENT_TOO_SLOW', detail), { isLast: true });
      return;
    }
    const nowMs = this.#clock.nowMs();
    if (nowMs < exchange.answerByMs) return this.#onWaitedLong(exchange);
    const outcomeUnknown = exchange.phase === 'sent' || exchange.wasLost;
    this.#recall(exchange, nowMs - exchange.sentAtMs >= DEADLINE_BLAME_MS ? true : undefined);
    const elapsedMs = Math.round(nowMs - exchange.receivedAtMs); // I1
    const where = outcomeUnknown
      ? 'in the cluster: it may have had its effect'
      : 'in the queue of the interface server: it had no effect';
    const detail = `no reply within ${elapsedMs} ms; the request was ${where}. It is safe to send again with an Idempotency-Key`;
    this.#fail(exchange, new PlatformError('DEADLINE_EXCEEDED', detail), { outcomeUnknown });
  }

  /** It has been in the queue for as long as its class allows. */
  #onWaitedLong(exchange: Exchange): void {
    const refusal = this.#door.outstay(exchange, this.#pool.working.length > 0);
    if (refusal === undefined) return this.#deadlines.add(exchange);
    this.#fail(exchange, refusal, { retryAfterMs: this.#door.waitMs(exchange) });
  }

  #onAborted(exchange: Exchange): void {
    if (exchange.phase === 'done') return;
    this.#metrics.aborted.value++;
    this.#recall(exchange, undefined);
    this.#finish(exchange, 499);
  }

  /** Nobody waits for it any more: tells those who work on it. @param failed as for #back */
  #recall(exchange: Exchange, failed: boolean | undefined): void {
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
    this.#replies.writeProblem(exchange.response, error, {
      ...options,
      requestId,
      isLast: options.isLast === true || exchange.lastOfConnection,
      closeConnection: this.draining,
      isHead: exchange.method === 'HEAD',
    });
  }

  #finish(exchange: Exchange, status: number, nowMs = this.#clock.nowMs()): void {
    exchange.phase = 'done';
    this.#deadlines.remove(exchange);
    this.inFlight--;
    this.#metrics.answered(status, nowMs - exchange.receivedAtMs);
  }

  #requestId(exchange: Exchange): string {
    return requestIdText(this.#options.incarnation, exchange.counter);
  }

  /** Answers what is in flight and what still comes on open connections, and closes each with its answer. */
  drain(): void {
    this.#draining = true;
  }

  /** Whether clients are told to send their next request elsewhere. */
  get draining(): boolean {
    return this.#draining || this.takenOut !== undefined;
  }

  /** Requests since the start. */
  get taken(): number {
    return this.#counter;
  }

  close(): void {
    this.#deadlines.close();
    this.unread.close();
  }
}
