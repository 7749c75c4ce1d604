/**
 * One wait with an end: a deadline, and whoever gives it up. Every recipe waits through one of these.
 *
 * B1: what it waits for loses against the deadline and the signal; neither a timer nor a listener is left behind.
 */
import type { Clock, TimerHandle } from '../../clock.ts';
import { PlatformError, toPlatformError } from '../../errors.ts';

/** The longest wait: a day. A longer one is a loop of whoever wants it. */
export const WAIT_MS_MAX = 86_400_000;

export interface WaitOptions {
  /** 0..WAIT_MS_MAX. In a handler no more than `ctx.deadlineMs`. */
  readonly timeoutMs: number;
  /** Gives the wait up. In a handler `ctx.signal`. */
  readonly signal?: AbortSignal | undefined;
}

export class BoundedWait {
  readonly #clock: Clock;
  readonly #what: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: TimerHandle;
  readonly #aborted = (): void => this.#end(this.#cancelled());
  #reject!: (error: PlatformError) => void;
  readonly #ended: Promise<never>;
  #error: PlatformError | undefined;
  /** Why it has not come to an end yet, for the message. */
  trouble: PlatformError | undefined;

  /** @param what is waited for, e.g. `lock jobs.nightly` @throws PlatformError PARK_REQUEST_INVALID */
  constructor(what: string, { timeoutMs, signal }: WaitOptions, clock: Clock) {
    if (!(timeoutMs >= 0 && timeoutMs <= WAIT_MS_MAX))
      throw new PlatformError(
        'PARK_REQUEST_INVALID',
        `expected to wait for ${what} 0 to ${WAIT_MS_MAX} ms, got ${timeoutMs}`,
      );
    this.#clock = clock;
    this.#what = what;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#ended = new Promise((_resolve, reject) => {
      this.#reject = reject;
    });
    this.#ended.catch(() => undefined); // it may end while nothing waits
    this.#deadline = clock.after(timeoutMs, () => this.#end(this.#late()));
    signal?.addEventListener('abort', this.#aborted, { once: true });
    if (signal?.aborted === true) this.#aborted();
  }

  /** @throws PlatformError DEADLINE_EXCEEDED, CANCELLED, and what `work` throws */
  async until<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined); // it may fail when nobody waits for it any more
    this.check();
    return await Promise.race([work, this.#ended]); // B1
  }

  /** @throws PlatformError DEADLINE_EXCEEDED, CANCELLED once it has ended */
  check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  async pause(delayMs: number): Promise<void> {
    let timer: TimerHandle | undefined;
    const over = new Promise<void>((resolve) => {
      timer = this.#clock.after(delayMs, resolve);
    });
    try {
      await this.until(over);
    } finally {
      timer?.cancel();
    }
  }

  /** B1 */
  close(): void {
    this.#deadline.cancel();
    this.#signal?.removeEventListener('abort', this.#aborted);
  }

  #end(error: PlatformError): void {
    this.#error ??= error;
    this.#reject(this.#error);
  }

  #late(): PlatformError {
    const why = this.trouble === undefined ? 'somebody else was first' : this.trouble.message;
    const detail = `expected ${this.#what} within ${this.#timeoutMs} ms, in vain (${why}): nothing is held; try again, or wait longer`;
    return new PlatformError('DEADLINE_EXCEEDED', detail, { cause: this.trouble });
  }

  #cancelled(): PlatformError {
    const cause = toPlatformError(this.#signal?.reason, 'CANCELLED');
    return new PlatformError('CANCELLED', `the wait for ${this.#what} was given up by its signal: nothing is held`, {
      cause,
    });
  }
}
