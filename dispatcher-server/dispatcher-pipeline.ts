/**
 * The way of a request through a dispatcher, in the order of the methods below:
 *
 *   link ─▶ account key ─▶ bucket ─▶ group ─▶ request queue ─▶ scanner ─▶ an app server's link
 *   link ◀─ reply, error (→ hold, retry), loss (→ retry) or deadline
 *
 * C1: every request taken from a link gets one answer on it by its deadline, unless the link is gone or it was cancelled.
 * C2: a request is sent again only when the link it went out on was lost or the app server refused it unserved, within
 *     the deadline, the attempts and the retry budget; its id makes that safe.
 * C3: bytes count against the sender's window until they have left the queue, whatever becomes of them.
 * C4: no group takes up all of an interface server (group-share.ts): a flood of one bucket holds up no other group.
 */
import { RetryBudget } from '../shared/balance/retry-budget.ts';
import type { Clock } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { DEADLINE_BLAME_MS } from '../shared/constants.ts';
import {
  errorWireOf,
  forwardAnswer,
  forwardRequest,
  handlerMicrosOf,
  replyIsWhole,
  requestIsWhole,
  statusOf,
  writeError,
} from '../shared/envelope.ts';
import { ERROR_KINDS, PlatformError, toPlatformError } from '../shared/errors.ts';
import type { Link } from '../shared/link/link.ts';
import { RequestsByOrigin } from '../shared/link/requests-by-origin.ts';
import type { BucketMap } from '../shared/published-state.ts';
import { DeadlineList, SWEEP_EVERY_MS } from '../shared/queue/deadline-list.ts';
import type { HandedOn } from '../shared/queue/scanner.ts';
import type { Tick } from '../shared/queue/tick.ts';
import { timeForNextHop } from '../shared/time-for-next-hop.ts';
import { AccountKeyReader } from './account-key-reader.ts';
import { DispatchedRequest, type DispatchListener } from './dispatched-request.ts';
import type { DispatcherMetrics } from './dispatcher-metrics.ts';
import type { GroupLane } from './group-lane.ts';
import { groupSharesOf } from './group-share.ts';
import { HoldGate } from './hold-gate.ts';

export interface DispatcherPipelineOptions {
  readonly config: ClusterConfig;
  readonly metrics: DispatcherMetrics;
  readonly clock: Clock;
  readonly tick: Tick;
}

export class DispatcherPipeline implements DispatchListener {
  readonly #clock: Clock;
  readonly #tick: Tick;
  readonly #metrics: DispatcherMetrics;
  readonly #deadlines: DeadlineList<DispatchedRequest>;
  readonly #holdGate: HoldGate;
  readonly #budget: RetryBudget;
  readonly #requests = new RequestsByOrigin<DispatchedRequest>();
  #keyReader: AccountKeyReader;
  #attemptsMax: number;
  #shares: readonly number[];
  #bucketMap: BucketMap | undefined;
  #lanes: readonly GroupLane[] = [];
  #draining = false;

  constructor(options: DispatcherPipelineOptions) {
    const { config } = options;
    this.#clock = options.clock;
    this.#tick = options.tick;
    this.#metrics = options.metrics;
    this.#keyReader = new AccountKeyReader({ sources: config.accountKey.sources, hash: config.hash });
    this.#attemptsMax = config.retries.attemptsMax;
    this.#shares = groupSharesOf(config);
    this.#budget = new RetryBudget(config.retries.budgetRatio);
    this.#deadlines = new DeadlineList(options.clock, (request) => this.#onDeadline(request));
    this.#holdGate = new HoldGate(options.clock, (request) => this.#resume(request));
  }

  /** Acts on a new map or config. @param lanes one for each group of the map, in its order */
  applyState(config: ClusterConfig, bucketMap: BucketMap, lanes: readonly GroupLane[]): void {
    this.#keyReader = new AccountKeyReader({ sources: config.accountKey.sources, hash: config.hash });
    this.#attemptsMax = config.retries.attemptsMax;
    this.#shares = groupSharesOf(config);
    this.#budget.ratio = config.retries.budgetRatio;
    this.#bucketMap = bucketMap;
    this.#lanes = lanes;
    this.#holdGate.resumeAll();
  }

  /** A REQUEST frame has come from an interface server. */
  onRequest(origin: Link, streamId: number, message: Buffer, start: number, end: number): void {
    if (!requestIsWhole(message, start, end)) {
      origin.close('LINK_FRAME_INVALID', 'expected a REQUEST whose parts fit its frame');
      return;
    }
    const request = new DispatchedRequest(this, { origin, streamId, message, start, end }, this.#tick.nowMs);
    if (!this.#requests.add(request)) {
      origin.close('LINK_FRAME_INVALID', `expected a stream id that is free, got ${streamId} again`);
      return;
    }
    if (this.#draining) return this.#fail(request, DRAINING);
    if (!this.#route(request)) return;
    this.#deadlines.add(request);
    this.#budget.noteRequest();
    this.#enqueue(request, request.receivedAtMs);
  }

  /** Account key → bucket → group. */
  #route(request: DispatchedRequest): boolean {
    const map = this.#bucketMap;
    if (map === undefined) {
      this.#fail(request, NOT_READY);
      return false;
    }
    try {
      const found = this.#keyReader.read(request.message, request.start, request.end);
      request.bucket = found.bucket;
      request.accountKey = found.bytes;
      request.accountKeyStart = found.start;
      request.accountKeyEnd = found.end;
    } catch (thrown) {
      this.#fail(request, toPlatformError(thrown));
      return false;
    }
    request.lane = this.#lanes[map.owners[request.bucket] as number];
    if (request.lane === undefined) {
      this.#fail(request, NOT_READY);
      return false;
    }
    request.seat = request.lane.share.take(request.origin, request.requestClass, this.#shares); // C4
    if (request.seat !== undefined) return true;
    const detail = `group ${request.lane.groupId} has as many requests of this interface server as one group may; try again after Retry-After`;
    this.#fail(request, new PlatformError('QUEUE_FULL', detail));
    return false;
  }

  #enqueue(request: DispatchedRequest, nowMs: number): void {
    request.phase = 'queued';
    request.queuedAtMs = nowMs;
    const lane = request.lane as GroupLane;
    if (lane.crowded) this.#fail(request, noAppServer(lane));
    else if (lane.queue.push(request)) lane.scanner.wake();
    else
      this.#fail(
        request,
        new PlatformError(
          'QUEUE_FULL',
          `the dispatcher's queue for group ${lane.groupId} is full; try again after Retry-After`,
        ),
      );
  }

  /** The scanner's turn: out to an app server of the group. */
  handOn(lane: GroupLane, request: DispatchedRequest): HandedOn {
    if (request.phase === 'done') {
      lane.queue.release(request); // it expired or was cancelled while it waited
      return 'done';
    }
    const peer = lane.pool.choose(request.peer);
    const link = peer?.link;
    if (peer === undefined || link === undefined) {
      if (lane.reachable || lane.pool.awaitsPeer) return 'blocked';
      lane.queue.release(request);
      this.#fail(request, noAppServer(lane));
      return 'done';
    }
    request.release(); // C3
    const nowMs = this.#tick.nowMs;
    request.waitedMicros += Math.round((nowMs - request.queuedAtMs) * 1000);
    request.sentAtMs = nowMs;
    request.peer = peer;
    request.link = link;
    request.phase = 'sent';
    request.streamId = link.openStream(request);
    forwardRequest(link.writer, request.streamId, request, {
      remainingMs: timeForNextHop(request.deadlineAtMs - nowMs),
      bucketMapEpoch: this.#bucketMap?.epoch ?? 0,
      bucket: request.bucket,
      attempt: request.attempt,
      waitedMicros: request.waitedMicros,
      accountKey: request.accountKey,
      accountKeyStart: request.accountKeyStart,
      accountKeyEnd: request.accountKeyEnd,
    });
    link.endStreamFrame();
    return 'done';
  }

  onReply(request: DispatchedRequest, message: Buffer, start: number, end: number): void {
    const nowMs = this.#tick.nowMs;
    if (!replyIsWhole(message, start, end)) {
      this.#back(request, true, nowMs);
      this.#fail(request, new PlatformError('LINK_FRAME_INVALID', 'the app server sent a reply that is cut short'));
      return;
    }
    this.#back(request, statusOf(message, start) >= 500, nowMs);
    const here = (nowMs - request.receivedAtMs) * 1000;
    const dispatchMicros = Math.max(0, Math.round(here) - handlerMicrosOf(message, start));
    this.#answer(request, nowMs);
    if (!request.origin.open) return;
    forwardAnswer(request.origin.writer, request.originStreamId, { message, start, end }, dispatchMicros);
    request.origin.endStreamFrame();
  }

  onError(request: DispatchedRequest, message: Buffer, start: number, end: number): void {
    const wire = errorWireOf(message, start);
    this.#back(request, wire === TIME_IS_UP ? this.#blame(request) : PEER_FAILED.has(wire));
    if (HOLD.has(wire) && this.#hold(request)) return;
    if (ELSEWHERE.has(wire) && this.#retry(request)) return;
    this.#answer(request);
    if (!request.origin.open) return;
    forwardAnswer(request.origin.writer, request.originStreamId, { message, start, end }, null, request.wasLost);
    request.origin.endStreamFrame();
  }

  onLost(request: DispatchedRequest, reason: PlatformError): void {
    request.wasLost = true;
    this.#back(request, reason.code === 'LINK_PEER_SILENT' ? undefined : true);
    if (this.#retry(request)) return;
    const detail = `the connection to app server ${request.peer?.id} was lost (${reason.code}) and the request could not be sent again in time`;
    this.#fail(request, new PlatformError('LINK_LOST', detail));
  }

  /** An interface server no longer waits for one of its requests. */
  onCancel(origin: Link, streamId: number): void {
    const request = this.#requests.find(origin, streamId);
    if (request === undefined) return;
    this.#recall(request, this.#blame(request));
    this.#answer(request);
  }

  /** An interface server is gone: nobody waits for its requests any more. */
  onOriginClosed(origin: Link): void {
    for (const { originStreamId } of this.#requests.of(origin)) this.onCancel(origin, originStreamId);
    this.#requests.forget(origin);
  }

  /**
   * The request is back from its link: the queue may hand on another one.
   * @param failed whether the app server is to blame; undefined when the end says nothing about it
   */
  #back(request: DispatchedRequest, failed: boolean | undefined, nowMs = this.#clock.nowMs()): void {
    const lane = request.lane as GroupLane;
    const { peer } = request;
    if (peer !== undefined && failed !== undefined) lane.pool.recordReply(peer, failed, nowMs - request.sentAtMs);
    request.link = undefined;
    lane.queue.release(request);
    lane.scanner.wake();
  }

  /** C2 @returns whether it was queued again */
  #retry(request: DispatchedRequest): boolean {
    if (request.attempt + 1 >= this.#attemptsMax || request.deadlineAtMs <= this.#clock.nowMs()) return false;
    if (!request.origin.open || !this.#budget.take()) return false;
    request.attempt++;
    this.#metrics.retries.value++;
    this.#enqueue(request, this.#clock.nowMs());
    return true;
  }

  #hold(request: DispatchedRequest): boolean {
    if (!request.origin.open || !this.#holdGate.hold(request)) return false;
    request.phase = 'held';
    this.#metrics.held.value++;
    return true;
  }

  /** Held long enough to ask again: the map may name another group by now. */
  #resume(request: DispatchedRequest): void {
    if (request.phase !== 'held') return;
    const lane = this.#lanes[this.#bucketMap?.owners[request.bucket] ?? -1];
    if (lane !== undefined) request.lane = lane;
    request.peer = undefined;
    this.#enqueue(request, this.#clock.nowMs());
  }

  #onDeadline(request: DispatchedRequest): void {
    const where =
      request.phase === 'sent' ? `at app server ${request.peer?.id}` : `in the dispatcher (${request.phase})`;
    this.#recall(request, this.#blame(request));
    this.#fail(request, new PlatformError('DEADLINE_EXCEEDED', `the time of the request was up ${where}`));
  }

  /**
   * Whether a request that ends without a reply speaks against its app server: its time is up, and it had enough of
   * it. Who notices that first (its sender, we, the app server) is chance, so that must not decide.
   */
  #blame(request: DispatchedRequest): true | undefined {
    const nowMs = this.#clock.nowMs();
    const timeIsUp = request.deadlineAtMs - nowMs <= SWEEP_EVERY_MS;
    return timeIsUp && nowMs - request.sentAtMs >= DEADLINE_BLAME_MS ? true : undefined;
  }

  /** Nobody waits for it any more: tells the app server that works on it. @param failed as for #back */
  #recall(request: DispatchedRequest, failed: boolean | undefined): void {
    this.#holdGate.forget(request);
    const link = request.link;
    if (request.phase !== 'sent' || link === undefined) return;
    link.cancelStream(request.streamId);
    this.#back(request, failed);
  }

  #fail(request: DispatchedRequest, error: PlatformError): void {
    if (request.phase === 'done') return; // C1
    this.#answer(request);
    this.#metrics.failed(error.code);
    if (!request.origin.open) return;
    const group = request.lane?.groupId;
    const by = group === undefined ? {} : { group };
    writeError(request.origin.writer, request.originStreamId, error, by, { wasLost: request.wasLost });
    request.origin.endStreamFrame();
  }

  /** C1: from here on nothing more is sent for it. */
  #answer(request: DispatchedRequest, nowMs = this.#clock.nowMs()): void {
    request.phase = 'done';
    request.release(); // C3
    this.#deadlines.remove(request);
    this.#requests.remove(request);
    if (request.seat !== undefined) request.seat.taken--; // C4
    this.#metrics.answered(nowMs - request.receivedAtMs);
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

  get heldCount(): number {
    return this.#holdGate.length;
  }

  close(): void {
    this.#deadlines.close();
    this.#holdGate.close();
  }
}

const wires = (...codes: (keyof typeof ERROR_KINDS)[]): ReadonlySet<number> =>
  new Set(codes.map((code) => ERROR_KINDS[code].wire));

/** The app server asks to be asked again when the map or its view has changed. */
const HOLD = wires('WRONG_GROUP', 'VIEW_CHANGING', 'BUCKET_MOVING');

/** Refused unserved: another app server of the group may take it. */
const ELSEWHERE = wires('DRAINING', 'NOT_READY', 'QUEUE_FULL', 'STORE_UNAVAILABLE');

const TIME_IS_UP = ERROR_KINDS.DEADLINE_EXCEEDED.wire;

/** Errors that speak against the app server, not against the request. */
const PEER_FAILED = wires('INTERNAL', 'HANDLER_FAILED', 'STORE_UNAVAILABLE', 'NOT_READY');

function noAppServer({ groupId }: GroupLane): PlatformError {
  const detail = `no app server of group ${groupId} works right now; try again after Retry-After`;
  return new PlatformError('NO_APP_SERVER', detail);
}

const NOT_READY = new PlatformError('NOT_READY', 'this dispatcher has no bucket map yet; try again after Retry-After');
const DRAINING = new PlatformError('DRAINING', 'this dispatcher is stopping');
