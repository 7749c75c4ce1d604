/**
 * The calls of one client of the park that wait: to be sent, or for their answer. Told by the channel what became of
 * each, it decides who is sent again and what the caller hears.
 *
 * L1: calls are sent in the order they were made, without waiting for each other.
 * L2: a write is sent once. It is sent again only when the coordinator has said that it did nothing; if its answer is
 *     lost, it may have happened: OUTCOME_UNKNOWN. Reads are asked again until their time is up.
 * L3: every call ends in `timeoutMs`, also with no coordinator there; what was never sent ends with NO_COORDINATOR.
 * L4: at most PARK_CALLS_MAX calls wait; one more is refused: QUEUE_FULL.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { type ErrorCode, PlatformError } from '../errors.ts';
import { BoundedQueue } from '../queue/bounded-queue.ts';
import { DeadlineList, DeadlineMember } from '../queue/deadline-list.ts';
import type { Asked, Asker, ParkChannel } from './park-channel.ts';
import type { ParkRequest } from './park-protocol.ts';

/** Half of what a link has streams: enough for 100,000 a second at answers that take 80 ms. */
export const PARK_CALLS_MAX = 8_192;

/** A coordinator that no longer serves gets so long to say so of everything it was sent. */
export const LEAVE_MS_MAX = 100;

/** Nothing was done: another coordinator may do it, or this one later. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set(['NOT_LEADER', 'COORDINATOR_FENCED', 'DRAINING', 'NOT_READY']);

export function servedElsewhere(error: PlatformError): boolean {
  return ELSEWHERE.has(error.code);
}

export interface ParkCallsOptions {
  readonly channel: ParkChannel;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Whether a write may go now: the connection knows the client's session. If not, one is being seen to. */
  readonly sessionReady: () => boolean;
  /** A write was refused as its session has ended. */
  readonly onSessionUnknown: () => void;
}

class ParkCall extends DeadlineMember implements Asker {
  readonly #calls: ParkCalls;
  readonly request: ParkRequest;
  readonly #read: (value: unknown) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: PlatformError) => void;
  asked: Asked | undefined;
  settled = false;

  constructor(
    calls: ParkCalls,
    request: ParkRequest,
    read: (value: unknown) => unknown,
    resolve: (value: unknown) => void,
    reject: (error: PlatformError) => void,
  ) {
    super();
    this.#calls = calls;
    this.request = request;
    this.#read = read;
    this.resolve = resolve;
    this.reject = reject;
  }

  get isWrite(): boolean {
    return this.request.op === 'write';
  }

  onAnswer(value: unknown): void {
    try {
      this.#calls.answered(this, this.#read(value));
    } catch (thrown) {
      this.#calls.failed(this, this.isWrite ? outcomeUnknown('its answer cannot be read') : (thrown as PlatformError));
    }
  }

  onError(error: PlatformError): void {
    this.#calls.refused(this, error);
  }

  onLost(reason: PlatformError): void {
    this.#calls.lost(this, reason);
  }
}

export class ParkCalls {
  readonly #options: ParkCallsOptions;
  /** Every call that has not ended. */
  readonly #open: DeadlineList<ParkCall>;
  readonly #waiting = new BoundedQueue<ParkCall>(PARK_CALLS_MAX);
  /** To be sent again, before those that wait (L1). */
  #again: ParkCall[] = [];
  #inFlight = 0;
  #leaving: TimerHandle | undefined;
  #leavingWhy = '';
  #closed = false;

  constructor(options: ParkCallsOptions) {
    this.#options = options;
    this.#open = new DeadlineList(options.clock, (call) => this.#expired(call)); // L3
  }

  /** Calls that have not ended. */
  get length(): number {
    return this.#open.length;
  }

  /** @param read what the caller gets of the answer; throws PlatformError when it is not one */
  call<T>(request: ParkRequest, read: (value: unknown) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new ParkCall(this, request, read, resolve as (value: unknown) => void, reject);
      call.deadlineAtMs = this.#options.clock.nowMs() + this.#options.timeoutMs;
      if (this.#closed) return reject(new PlatformError('NO_COORDINATOR', 'this client of the park has been closed'));
      if (this.#open.length >= PARK_CALLS_MAX || !this.#waiting.push(call)) return reject(tooMany()); // L4
      this.#open.add(call);
      this.pump();
    });
  }

  /** Sends what may go now. To be called when the channel or the session has changed. */
  pump(): void {
    const { channel, sessionReady } = this.#options;
    while (this.#leaving === undefined && channel.up) {
      const next = this.#again[0] ?? this.#waiting.peek(); // L1
      if (next === undefined) return;
      if (next.settled) {
        this.#takeNext();
        continue;
      }
      if (next.isWrite && !sessionReady()) return;
      const asked = channel.ask(next.request, next);
      if (asked === undefined) return;
      this.#takeNext();
      next.asked = asked;
      this.#inFlight++;
    }
  }

  /** This coordinator does not serve: left as soon as it has answered what it was sent. */
  leave(why: string): void {
    if (this.#closed || !this.#options.channel.up) return;
    this.#leavingWhy = why;
    this.#leaving ??= this.#options.clock.after(LEAVE_MS_MAX, () => this.#leave());
    if (this.#inFlight === 0) this.#leave();
  }

  onDown(): void {
    this.#leaving?.cancel();
    this.#leaving = undefined;
  }

  /** No session can be had: writes that wait for one end. */
  failWrites(error: PlatformError): void {
    for (let left = this.#waiting.length; left > 0; left--) {
      const call = this.#waiting.shift() as ParkCall;
      if (!call.settled && call.isWrite) this.failed(call, error);
      else if (!call.settled) this.#waiting.push(call);
    }
    const again = this.#again;
    this.#again = again.filter((call) => !call.isWrite);
    for (const call of again) if (call.isWrite && !call.settled) this.failed(call, error);
  }

  close(): void {
    this.#closed = true;
    this.#leaving?.cancel();
    this.#open.close();
    for (let call = this.#nextOpen(); call !== undefined; call = this.#nextOpen()) {
      const unknown = call.isWrite && call.asked !== undefined;
      const why = 'this client of the park was closed before the answer came';
      this.#end(call).reject(unknown ? outcomeUnknown(why) : new PlatformError('NO_COORDINATOR', why));
    }
  }

  answered(call: ParkCall, value: unknown): void {
    this.#end(call).resolve(value);
    this.#afterAnswer();
  }

  failed(call: ParkCall, error: PlatformError): void {
    this.#end(call).reject(error);
    this.#afterAnswer();
  }

  refused(call: ParkCall, error: PlatformError): void {
    if (servedElsewhere(error)) {
      this.#sendAgain(call); // L2: it said that it did nothing
      this.leave(error.message);
      return;
    }
    if (error.code === 'PARK_SESSION_UNKNOWN' && call.isWrite) this.#options.onSessionUnknown();
    this.failed(call, error);
  }

  /** L2 */
  lost(call: ParkCall, reason: PlatformError): void {
    if (call.isWrite) this.failed(call, outcomeUnknown(reason.message));
    else this.#sendAgain(call);
  }

  /** L3 */
  #expired(call: ParkCall): void {
    const { timeoutMs } = this.#options;
    const { asked, isWrite } = call;
    this.#end(call);
    asked?.cancel();
    if (isWrite && asked !== undefined) call.reject(outcomeUnknown(`no answer within ${timeoutMs} ms`));
    else call.reject(new PlatformError('NO_COORDINATOR', `expected a coordinator to answer within ${timeoutMs} ms`));
    // All have the same time, so those that ended unsent stand in front.
    while (this.#waiting.peek()?.settled === true) this.#waiting.shift();
    this.#again = this.#again.filter((one) => !one.settled);
    this.#afterAnswer();
  }

  #sendAgain(call: ParkCall): void {
    call.asked = undefined;
    this.#inFlight--;
    this.#again.push(call);
  }

  #end(call: ParkCall): ParkCall {
    call.settled = true;
    if (call.asked !== undefined) this.#inFlight--;
    call.asked = undefined;
    this.#open.remove(call);
    return call;
  }

  #afterAnswer(): void {
    if (this.#leaving !== undefined && this.#inFlight === 0) this.#leave();
  }

  #leave(): void {
    this.#leaving?.cancel();
    this.#leaving = undefined;
    this.#options.channel.refuse(this.#leavingWhy);
  }

  #takeNext(): void {
    if (this.#again.length > 0) this.#again.shift();
    else this.#waiting.shift();
  }

  #nextOpen(): ParkCall | undefined {
    return this.#open.first;
  }
}

function outcomeUnknown(why: string): PlatformError {
  const detail = `the write may have happened, ${why}: read what it should have written before writing again`;
  return new PlatformError('OUTCOME_UNKNOWN', detail);
}

function tooMany(): PlatformError {
  const detail = `expected at most ${PARK_CALLS_MAX} calls to the park at once: wait for some to end`;
  return new PlatformError('QUEUE_FULL', detail);
}
