/** A ManualClock whose event loop is manual too: what waits for the end of a tick runs when the test says so. */
import { ManualClock } from './manual-clock.ts';

/** More turns than any test needs: past it something wakes itself for ever. */
const TURNS_MAX = 10_000;

export class FakeClock extends ManualClock {
  #endOfTick: (() => void)[] = [];
  #stalledMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.#stalledMs;
  }

  /** The process stood still (or was stopped): time has passed, and no timer fired in it. */
  stall(forMs: number): void {
    this.#stalledMs += forMs;
  }

  override atEndOfTick(callback: () => void): void {
    this.#endOfTick.push(callback);
  }

  /** Callbacks that wait for the end of this turn. */
  get waitingForEndOfTick(): number {
    return this.#endOfTick.length;
  }

  /** Ends one turn: runs what waits for its end; what that asks for waits for the next. */
  endTick(): void {
    const due = this.#endOfTick;
    this.#endOfTick = [];
    for (const callback of due) callback();
  }

  /** Ends turns until nothing waits any more. */
  settle(): void {
    for (let turn = 0; this.#endOfTick.length > 0; turn++) {
      if (turn > TURNS_MAX) throw new Error(`expected the event loop to come to rest within ${TURNS_MAX} turns`);
      this.endTick();
    }
  }

  /** Moves time on in small steps and lets every turn end: what a running event loop would do. */
  run(forMs: number, stepMs = 5): void {
    for (let doneMs = 0; doneMs < forMs; doneMs += stepMs) {
      this.advance(Math.min(stepMs, forMs - doneMs));
      this.settle();
    }
  }
}
