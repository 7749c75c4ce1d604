/**
 * The way of a request through an app server, in the order of the methods below:
 *
 *   link ─▶ ownership ─▶ request queue ─▶ scanner ─▶ handler runner ─▶ replicated store
 *   link ◀─ reply or error
 *
 * S1: every request taken from a link gets one answer on it, unless the link is gone or it was cancelled.
 * S2: a request whose bucket another group owns is never run: the dispatcher is told to hold it until maps agree.
 * S3: a request whose time is up, or that nobody waits for, is dropped before any work is done for it.
 * S4: handlers that compute get TURN_MS_MAX of a turn of the event loop, then what has arrived meanwhile is let in: a class
 *     that goes first waits for one turn, not for all that were there before.
 */
import type { Clock } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { bucketMapEpochOf, bucketOf, requestIsWhole, writeError, writeReply } from '../shared/envelope.ts';
import { PlatformError } from '../shared/errors.ts';
import type { Link } from '../shared/link/link.ts';
import { RequestsByOrigin } from '../shared/link/requests-by-origin.ts';
import type { BucketMap } from '../shared/published-state.ts';
import { RequestQueue } from '../shared/queue/request-queue.ts';
import { type HandedOn, Scanner } from '../shared/queue/scanner.ts';
import type { Tick } from '../shared/queue/tick.ts';
import type { AppMetrics } from './app-metrics.ts';
import { type AppAnswers, AppRequest } from './app-request.ts';
import type { HandlerReply, HandlerRunner } from './handler-runner.ts';

/** Longest run of handlers without a look at what has arrived; many times what handlers that only ask a database take. */
const TURN_MS_MAX = 2;

export interface AppPipelineOptions {
  readonly config: ClusterConfig;
  readonly serverId: string;
  readonly groupId: string;
  readonly runner: HandlerRunner;
  readonly metrics: AppMetrics;
  readonly clock: Clock;
  readonly tick: Tick;
}

export class AppPipeline implements AppAnswers {
  readonly #options: AppPipelineOptions;
  readonly #clock: Clock;
  readonly #runner: HandlerRunner;
  readonly queue: RequestQueue<AppRequest>;
  readonly #scanner: Scanner<AppRequest>;
  readonly #requests = new RequestsByOrigin<AppRequest>();
  readonly #answererLines: string;
  /** Header lines of the last reply, without and with the lines above: most replies of a server have the same ones. */
  #lastHeaders = '';
  #lastLines = '';
  #bucketMap: BucketMap | undefined;
  #groupIndex = -1;
  #draining = false;
  /** The turn of the event loop in which handlers were started last, and since when. */
  #turn = -1;
  #turnSinceMs = 0;

  constructor(options: AppPipelineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#runner = options.runner;
    this.queue = new RequestQueue(options.config.queues);
    this.#scanner = new Scanner(this.queue, options.tick, (request) => this.#handOn(request));
    this.#answererLines = `x-group: ${options.groupId}\r\nx-served-by: ${options.serverId}\r\n`;
    this.#lastLines = this.#answererLines;
  }

  /** Acts on a new map or config. */
  applyState(config: ClusterConfig, bucketMap: BucketMap): void {
    this.queue.configure(config.queues);
    this.#bucketMap = bucketMap;
    this.#groupIndex = bucketMap.groupIds.indexOf(this.#options.groupId);
  }

  /** A REQUEST frame has come from a dispatcher. */
  onRequest(origin: Link, streamId: number, message: Buffer, start: number, end: number): void {
    if (!requestIsWhole(message, start, end)) {
      origin.close('LINK_FRAME_INVALID', 'expected a REQUEST whose parts fit its frame');
      return;
    }
    const request = new AppRequest(this, { origin, streamId, message, start, end }, this.#options.tick.nowMs);
    if (!this.#requests.add(request)) {
      origin.close('LINK_FRAME_INVALID', `expected a stream id that is free, got ${streamId} again`);
      return;
    }
    const refusal = this.#refusal(message, start) ?? (this.queue.push(request) ? undefined : QUEUE_FULL);
    if (refusal === undefined) {
      this.#scanner.wake();
      return;
    }
    request.release();
    this.#sendError(request, refusal);
  }

  #refusal(message: Buffer, start: number): PlatformError | undefined {
    return this.#draining ? DRAINING : this.#misplaced(message, start);
  }

  /** S2 @returns why the request is not for this group, if so */
  #misplaced(message: Buffer, start: number): PlatformError | undefined {
    const map = this.#bucketMap;
    if (map === undefined) return NOT_READY;
    const bucket = bucketOf(message, start);
    if (map.owners[bucket] === this.#groupIndex) return undefined;
    const owner = map.groupIds[map.owners[bucket] ?? -1] ?? 'nobody';
    const detail = `bucket ${bucket} belongs to ${owner} in map ${map.epoch}; the dispatcher asked by map ${bucketMapEpochOf(message, start)}`;
    return new PlatformError('WRONG_GROUP', detail);
  }

  /** The scanner's turn: into its handler. */
  #handOn(request: AppRequest): HandedOn {
    request.release();
    const nowMs = this.#clock.nowMs();
    request.waitedMicros += Math.round((nowMs - request.receivedAtMs) * 1000);
    if (request.phase === 'done') {
      this.queue.release(request); // S3
      return 'done';
    }
    const misplaced = this.#misplaced(request.message, request.start); // S2: the map may have changed meanwhile
    if (misplaced !== undefined) {
      this.sendError(request, misplaced);
      return 'done';
    }
    request.startedAtMs = nowMs;
    request.phase = 'running';
    this.#runner.run(request, request, nowMs);
    return this.#turnIsOver(nowMs) ? 'last' : 'done';
  }

  /** S4 @param nowMs as of the handler that has just been started: the clock is not asked once more for this */
  #turnIsOver(nowMs: number): boolean {
    const { turn } = this.#options.tick;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnSinceMs = nowMs;
    }
    return nowMs - this.#turnSinceMs >= TURN_MS_MAX;
  }

  sendReply(request: AppRequest, reply: HandlerReply, nowMs = this.#clock.nowMs()): void {
    this.#leaveHandler(request);
    const handlerMs = nowMs - request.startedAtMs;
    if (!this.#answer(request)) return;
    const { origin } = request;
    this.#options.metrics.handled(handlerMs);
    writeReply(
      origin.writer,
      request.originStreamId,
      { status: reply.status, headers: this.#withAnswerer(reply.headers), body: reply.body },
      {
        queueMicros: request.waitedMicros,
        dispatchMicros: 0,
        handlerMicros: Math.round(handlerMs * 1000),
        dbMicros: Math.round(request.dbMicros),
      },
    );
    origin.endStreamFrame();
  }

  #withAnswerer(headers: string): string {
    if (headers !== this.#lastHeaders) {
      this.#lastHeaders = headers;
      this.#lastLines = headers + this.#answererLines;
    }
    return this.#lastLines;
  }

  sendError(request: AppRequest, error: PlatformError): void {
    this.#leaveHandler(request);
    this.#sendError(request, error);
  }

  #sendError(request: AppRequest, error: PlatformError): void {
    if (!this.#answer(request)) return;
    this.#options.metrics.failed(error.code);
    const { serverId, groupId } = this.#options;
    writeError(request.origin.writer, request.originStreamId, error, { group: groupId, servedBy: serverId });
    request.origin.endStreamFrame();
  }

  #leaveHandler(request: AppRequest): void {
    this.queue.release(request);
    this.#scanner.wake();
  }

  /** S1 @returns whether somebody still waits for the answer */
  #answer(request: AppRequest): boolean {
    if (request.phase === 'done') return false;
    request.phase = 'done';
    this.#requests.remove(request);
    return request.origin.open;
  }

  /** A dispatcher no longer waits for one of its requests. */
  onCancel(origin: Link, streamId: number): void {
    const request = this.#requests.find(origin, streamId);
    if (request === undefined) return;
    this.#answer(request);
    request.onCancel?.(); // the runner answers for it, which frees its place in the queue
  }

  /** A dispatcher is gone: nobody waits for its requests any more. */
  onOriginClosed(origin: Link): void {
    for (const { originStreamId } of this.#requests.of(origin)) this.onCancel(origin, originStreamId);
    this.#requests.forget(origin);
  }

  /** Takes no new requests; what is in flight is answered. */
  drain(): void {
    this.#draining = true;
  }

  /** Requests taken and not yet answered. */
  get inFlight(): number {
    return this.#requests.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get mapped(): boolean {
    return this.#bucketMap !== undefined;
  }
}

const QUEUE_FULL = new PlatformError(
  'QUEUE_FULL',
  'the request queue of the app server is full; try again after Retry-After',
);
const NOT_READY = new PlatformError('NOT_READY', 'this app server has no bucket map yet; try again after Retry-After');
const DRAINING = new PlatformError('DRAINING', 'this app server is stopping');
