/**
 * Keeps a promise that a handler started and forgot from ending the process.
 *
 * Node ends a process on an unhandled rejection. On an app server the usual source is a handler that did not await
 * something, which harms nobody else: it is logged and counted instead. An uncaught exception still ends the process,
 * as it may have left anything half done.
 */
import { type Clock, systemClock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { handlerFailure } from './handler-failure.ts';
import { LogBudget } from './log-budget.ts';

export class RejectionGuard {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #budget = new LogBudget();
  readonly #listener = (reason: unknown): void => this.#note(reason);
  #count = 0;

  constructor(log: Logger, clock: Clock = systemClock) {
    this.#log = log;
    this.#clock = clock;
    process.on('unhandledRejection', this.#listener);
  }

  /** Rejections seen since the start. */
  get count(): number {
    return this.#count;
  }

  close(): void {
    process.off('unhandledRejection', this.#listener);
  }

  #note(reason: unknown): void {
    this.#count += 1;
    const leftOut = this.#budget.take(this.#clock.nowMs());
    if (leftOut === undefined) return;
    const { defect, error } = handlerFailure(reason, 'unhandled rejection');
    this.#log.error({ defect: defect ?? error.message, leftOut }, 'a promise failed that nothing awaited');
  }
}
