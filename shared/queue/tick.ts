/**
 * End of a turn of the event loop, in two phases: first every scanner that has work, then every link that has bytes.
 * So all that arrived in one turn leaves in one write per link, without a timer, and without waiting when load is light.
 *
 * T1: what a scanner of this turn puts on a link leaves in this turn.
 * T2: a scanner that asks again while it runs gets the next turn, so that I/O is never starved.
 * T3: `nowMs` is read once for what arrives in a turn and once for what its scanners do: asking the clock for each
 *     request of a batch would cost as much as sending it on. It is never older than the turn.
 */
import type { Clock } from '../clock.ts';

export class Tick {
  readonly #clock: Clock;
  #scans: (() => void)[] = [];
  #scansSpare: (() => void)[] = [];
  readonly #flushes: (() => void)[] = [];
  #scheduled = false;
  #running = false;
  #nowMs = 0;
  #nowIsRead = false;
  /** Counts turns: tells the requests of one turn from those of the next. */
  turn = 0;
  readonly #run = (): void => this.#runPhases();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls back in the scan phase of this turn, or of the next when called from a scan (T2). */
  scan(callback: () => void): void {
    this.#scans.push(callback);
    this.#schedule();
  }

  /** Calls back in the flush phase of this turn (T1). */
  flush(callback: () => void): void {
    this.#flushes.push(callback);
    if (!this.#running) this.#schedule();
  }

  /** The clock's `nowMs()` as of this turn (T3). */
  get nowMs(): number {
    if (!this.#nowIsRead) {
      this.#nowIsRead = true;
      this.#nowMs = this.#clock.nowMs();
      if (!this.#running) this.#schedule(); // the turn's end forgets it
    }
    return this.#nowMs;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.atEndOfTick(this.#run);
  }

  #runPhases(): void {
    this.#scheduled = false;
    this.#running = true;
    this.#nowIsRead = false; // T3
    this.turn++;
    const scans = this.#scans;
    this.#scans = this.#scansSpare; // T2
    for (let index = 0; index < scans.length; index++) (scans[index] as () => void)();
    scans.length = 0;
    this.#scansSpare = scans;
    const flushes = this.#flushes;
    for (let index = 0; index < flushes.length; index++) (flushes[index] as () => void)(); // T1
    flushes.length = 0;
    this.#nowIsRead = false; // T3
    this.#running = false;
  }
}
