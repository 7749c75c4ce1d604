/**
 * Looks, for as long as a coordinator serves, whether its checkpointer was promoted in its place: a coordinator that was
 * paused or cut off meanwhile, and goes on, must not serve beside it.
 *
 * L1: one question is under way at a time; a pause is followed by a look at once, as the timer is overdue.
 * L2: a successor is told once, and then nothing is asked any more.
 */
import type { Clock, TimerHandle } from '../../shared/clock.ts';

/** A look is one small answer over HTTP. For so long two may serve after a pause. */
export const LOOK_EVERY_MS = 500;

export interface SuccessorWatchOptions {
  readonly clock: Clock;
  /** Of this coordinator. */
  readonly term: number;
  /** Asks the checkpointer: undefined when it was not promoted, or does not answer. */
  readonly ask: () => Promise<number | undefined>;
  readonly onSuccessor: (term: number) => void;
}

export class SuccessorWatch {
  readonly #options: SuccessorWatchOptions;
  readonly #timer: TimerHandle;
  #isAsking = false;
  #isOver = false;

  constructor(options: SuccessorWatchOptions) {
    this.#options = options;
    this.#timer = options.clock.every(LOOK_EVERY_MS, () => void this.#look());
  }

  close(): void {
    this.#isOver = true;
    this.#timer.cancel();
  }

  async #look(): Promise<void> {
    if (this.#isAsking) return; // L1
    this.#isAsking = true;
    const term = await this.#options.ask();
    this.#isAsking = false;
    if (term === undefined || term <= this.#options.term || this.#isOver) return;
    this.close(); // L2
    this.#options.onSuccessor(term);
  }
}
