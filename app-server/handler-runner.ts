/**
 * Runs handlers: one request in, exactly one outcome out, whatever the handler does.
 *
 * N1: `outcome` is called exactly once: when the handler answers, throws or rejects, or before that when the deadline
 *     passes or the request is cancelled. What a handler answers after that is counted and dropped.
 * N2: nothing that a handler throws gets past the runner.
 * N3: a handler that answers at once costs no promise, no timer and no closure.
 * N4: handlers that were given up on but still run count as running until they end, or for OVERRUN_KEPT_MS; so stuck
 *     ones cannot pile up faster than RUNNING_MAX in that time, nor block the server for good.
 */
import { type Clock, systemClock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { RouteParams } from '../shared/routing/route-table.ts';
import { DeadlineSweep, type Expiring } from './deadline-sweep.ts';
import {
  HandlerContext,
  type HandlerEnvironment,
  type IncomingRequest,
  type ParkDoor,
  type StoreDoor,
} from './handler-context.ts';
import { handlerFailure } from './handler-failure.ts';
import { checkContentType, handlerInput } from './handler-input.ts';
import type { HandlerRegistry, RouteBinding } from './handler-registry.ts';
import { type HandlerReply, handlerReply } from './handler-reply.ts';
import { LogBudget } from './log-budget.ts';

export type { IncomingRequest, ParkDoor, StoreDoor } from './handler-context.ts';
export type { HandlerReply } from './handler-reply.ts';

export interface HandlerOutcome {
  /** @param nowMs on the clock, where the runner has just asked it */
  reply(reply: HandlerReply, nowMs?: number): void;
  fail(error: PlatformError): void;
}

export interface HandlerRunnerOptions {
  readonly registry: HandlerRegistry;
  readonly store: StoreDoor;
  readonly park: ParkDoor;
  readonly log: Logger;
  /** Read at every reply, so a new limit holds at once. */
  readonly limits: { readonly replyBytesMax: number };
  readonly clock?: Clock;
}

/** Counted since the start. */
export interface HandlerCounts {
  /** Outcomes that were not a reply. */
  failed: number;
  /** Given up on at the deadline. */
  overran: number;
  cancelled: number;
  /** Results that came after their request had been given up on. */
  late: number;
  /** Handlers that kept the event loop for BLOCKED_MS_MIN or longer. */
  blocked: number;
}

/** Above the largest concurrency of a queue class (60,000): the queue is the bound, this only catches stuck handlers. */
const RUNNING_MAX = 65_536;

/** How long a handler that was given up on is still counted. */
const OVERRUN_KEPT_MS = 60_000;

/** A handler that computes for longer delays every other request of the server noticeably. */
const BLOCKED_MS_MIN = 100;

/** What a run needs of its runner. */
interface RunSupport {
  readonly counts: HandlerCounts;
  readonly sweep: DeadlineSweep;
  deliver(binding: RouteBinding, request: IncomingRequest, outcome: HandlerOutcome, result: unknown): void;
  fail(binding: RouteBinding, request: IncomingRequest, outcome: HandlerOutcome, thrown: unknown): void;
}

/** A handler that did not answer at once. */
class AsyncRun implements Expiring {
  expiresAtMs: number;
  readonly #support: RunSupport;
  readonly #binding: RouteBinding;
  readonly #request: IncomingRequest;
  readonly #outcome: HandlerOutcome;
  readonly #context: HandlerContext;
  /** `givenUp`: answered for it, but it still runs. */
  #phase: 'running' | 'givenUp' | 'done' = 'running';

  constructor(
    support: RunSupport,
    binding: RouteBinding,
    request: IncomingRequest,
    outcome: HandlerOutcome,
    context: HandlerContext,
  ) {
    this.expiresAtMs = request.deadlineAtMs;
    this.#support = support;
    this.#binding = binding;
    this.#request = request;
    this.#outcome = outcome;
    this.#context = context;
  }

  start(result: unknown, clock: Clock): void {
    this.#support.sweep.add(this);
    this.#request.onCancel = () => {
      if (this.#phase !== 'running') return;
      this.#support.counts.cancelled += 1;
      this.expiresAtMs = clock.nowMs() + OVERRUN_KEPT_MS;
      this.#giveUp(new PlatformError('CANCELLED', `${this.#binding.label}: nobody waits for the reply any more`));
    };
    // Promise.resolve takes up a foreign thenable safely: it may throw, or call back twice.
    const promise = result instanceof Promise ? result : Promise.resolve(result);
    promise.then(
      (value) => this.#settle(() => this.#support.deliver(this.#binding, this.#request, this.#outcome, value)),
      (thrown) => this.#settle(() => this.#support.fail(this.#binding, this.#request, this.#outcome, thrown)),
    );
  }

  /** N1, N4 */
  expire(nowMs: number): boolean {
    if (this.#phase !== 'running') return false;
    this.#support.counts.overran += 1;
    this.expiresAtMs = nowMs + OVERRUN_KEPT_MS;
    const waited = `${this.#binding.label}: expected a reply before the deadline, got none`;
    this.#giveUp(new PlatformError('DEADLINE_EXCEEDED', waited));
    return true;
  }

  /** The server stops and waits no longer. */
  stop(): void {
    if (this.#phase !== 'running') return;
    this.#giveUp(new PlatformError('DRAINING', `${this.#binding.label}: the app server stopped before it was done`));
  }

  #giveUp(reason: PlatformError): void {
    this.#phase = 'givenUp';
    this.#request.onCancel = null;
    this.#support.fail(this.#binding, this.#request, this.#outcome, reason);
    this.#context.end(reason);
  }

  /** N1 */
  #settle(answer: () => void): void {
    const { sweep, counts } = this.#support;
    sweep.delete(this);
    if (this.#phase === 'givenUp') counts.late += 1;
    const first = this.#phase === 'running';
    this.#phase = 'done';
    if (!first) return;
    this.#request.onCancel = null;
    answer();
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true;
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

export class HandlerRunner {
  readonly counts: HandlerCounts = { failed: 0, overran: 0, cancelled: 0, late: 0, blocked: 0 };
  readonly #registry: HandlerRegistry;
  readonly #environment: HandlerEnvironment;
  readonly #limits: { readonly replyBytesMax: number };
  readonly #clock: Clock;
  readonly #sweep: DeadlineSweep;
  readonly #support: RunSupport;
  readonly #defectLines = new LogBudget();
  readonly #blockedLines = new LogBudget();

  constructor(options: HandlerRunnerOptions) {
    this.#registry = options.registry;
    this.#limits = options.limits;
    this.#clock = options.clock ?? systemClock;
    this.#environment = { store: options.store, park: options.park, clock: this.#clock, log: options.log };
    this.#sweep = new DeadlineSweep(this.#clock);
    this.#support = {
      counts: this.counts,
      sweep: this.#sweep,
      deliver: (binding, request, outcome, result) => this.#deliver(binding, request, outcome, result),
      fail: (binding, request, outcome, thrown) => this.#fail(binding, request, outcome, thrown),
    };
  }

  /** Handlers that have not ended, those given up on included. */
  get running(): number {
    return this.#sweep.size;
  }

  /** Calls `outcome` exactly once, possibly before it returns. Never throws. @param nowMs on the clock */
  run(request: IncomingRequest, outcome: HandlerOutcome, nowMs = this.#clock.nowMs()): void {
    const match = this.#registry.find(request.method, request.target);
    if (match.kind === 'found') this.#start(match.value, match.params, request, outcome, nowMs);
    else this.#refuse(outcome, this.#notFound(match.kind, request));
  }

  /** Answers what still runs with DRAINING; call it when waiting is over. */
  close(): void {
    for (const run of this.#sweep) (run as AsyncRun).stop();
    this.#sweep.close();
  }

  #start(
    binding: RouteBinding,
    params: RouteParams,
    request: IncomingRequest,
    outcome: HandlerOutcome,
    startedAtMs: number,
  ): void {
    const refusal = this.#refusal(binding, request, startedAtMs);
    if (refusal !== undefined) {
      this.#refuse(outcome, refusal);
      return;
    }
    const context = new HandlerContext(this.#environment, binding, request);
    let result: unknown;
    let answered = true;
    try {
      result = this.#call(binding, params, request, context);
      answered = !isPromiseLike(result);
    } catch (thrown) {
      this.#noteTime(binding, request, startedAtMs);
      this.#fail(binding, request, outcome, thrown); // N2
      return;
    }
    const nowMs = this.#noteTime(binding, request, startedAtMs);
    if (answered)
      this.#deliver(binding, request, outcome, result, nowMs); // N3
    else new AsyncRun(this.#support, binding, request, outcome, context).start(result, this.#clock);
  }

  #refusal(binding: RouteBinding, request: IncomingRequest, nowMs: number): PlatformError | undefined {
    if (nowMs >= request.deadlineAtMs) {
      const detail = `${binding.label}: the deadline passed before its handler could start`;
      return new PlatformError('DEADLINE_EXCEEDED', detail);
    }
    if (this.#sweep.size >= RUNNING_MAX) {
      const detail = `${RUNNING_MAX} handlers run already, those that overran included; try again later`; // N4
      return new PlatformError('QUEUE_FULL', detail);
    }
    return undefined;
  }

  #call(binding: RouteBinding, params: RouteParams, request: IncomingRequest, context: HandlerContext): unknown {
    const { route } = binding;
    if (route.contentTypes.length > 0) checkContentType(route, request.body, () => context.header('content-type'));
    return route.handler(context, handlerInput(route, params, request));
  }

  #notFound(kind: 'none' | 'malformed', request: IncomingRequest): PlatformError {
    if (kind === 'malformed') {
      return new PlatformError('REQUEST_INVALID', 'expected a path that starts with / and is percent-encoded UTF-8');
    }
    const methods = this.#registry.methodsOf(request.target);
    if (methods.length === 0) {
      return new PlatformError('ROUTE_UNKNOWN', 'no service of this app server has a route at this path');
    }
    return new PlatformError('METHOD_NOT_ALLOWED', `expected ${methods.join(' or ')}, got ${request.method}`);
  }

  /** @returns the time now, on the clock */
  #noteTime(binding: RouteBinding, request: IncomingRequest, startedAtMs: number): number {
    const nowMs = this.#clock.nowMs();
    const blockedMs = nowMs - startedAtMs;
    if (blockedMs >= BLOCKED_MS_MIN) this.#noteBlocked(binding, request, blockedMs, nowMs);
    return nowMs;
  }

  #noteBlocked(binding: RouteBinding, request: IncomingRequest, blockedMs: number, nowMs: number): void {
    this.counts.blocked += 1;
    const leftOut = this.#blockedLines.take(nowMs);
    if (leftOut === undefined) return;
    const { requestId } = request;
    const message = 'a handler kept the event loop; nothing else ran: move the work into a worker or make it smaller';
    this.#environment.log.warn({ route: binding.label, requestId, blockedMs: Math.round(blockedMs), leftOut }, message);
  }

  #deliver(
    binding: RouteBinding,
    request: IncomingRequest,
    outcome: HandlerOutcome,
    result: unknown,
    nowMs?: number,
  ): void {
    let reply: HandlerReply;
    try {
      reply = handlerReply(binding.route, result, this.#limits.replyBytesMax);
    } catch (thrown) {
      this.#fail(binding, request, outcome, thrown);
      return;
    }
    try {
      outcome.reply(reply, nowMs);
    } catch (thrown) {
      this.#outcomeThrew(thrown);
    }
  }

  #fail(binding: RouteBinding, request: IncomingRequest, outcome: HandlerOutcome, thrown: unknown): void {
    const { error, defect } = handlerFailure(thrown, binding.label);
    if (defect !== undefined) {
      const leftOut = this.#defectLines.take(this.#clock.nowMs());
      if (leftOut !== undefined) {
        const { requestId, account } = request;
        this.#environment.log.error(
          { route: binding.label, requestId, account, code: error.code, defect, leftOut },
          'a handler failed',
        );
      }
    }
    this.#refuse(outcome, error);
  }

  #refuse(outcome: HandlerOutcome, error: PlatformError): void {
    this.counts.failed += 1;
    try {
      outcome.fail(error);
    } catch (thrown) {
      this.#outcomeThrew(thrown);
    }
  }

  /** A defect of ours, not of a handler; the request is lost to it, the server is not. */
  #outcomeThrew(thrown: unknown): void {
    if (this.#defectLines.take(this.#clock.nowMs()) === undefined) return;
    this.#environment.log.error({ err: thrown }, 'taking up the outcome of a handler failed');
  }
}
