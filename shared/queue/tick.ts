/**
 * End of a turn of the event loop, in two phases: first every scanner that has work, then every link that has bytes.
 * So all that arrived in one turn leaves in one write per link, without a timer, and without waiting when load is light.
 *
 * T1: what a scanner of this turn puts on a link leaves in this turn.
 * T2: a scanner that asks again while it runs gets the next turn, so that I/O is never starved.
 */
import type { Clock } from '../clock.ts';

export class Tick {
  readonly #clock: Clock;
  #scans: (() => void)[] = [];
  #scansSpare: (() => void)[] = [];
  readonly #flushes: (() => void)[] = [];
  #scheduled = false;
  #running = false;
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

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.atEndOfTick(this.#run);
  }

  #runPhases(): void {
    this.#scheduled = false;
    this.#running = true;
    const scans = this.#scans;
    this.#scans = this.#scansSpare; // T2
    for (let index = 0; index < scans.length; index++) (scans[index] as () => void)();
    scans.length = 0;
    this.#scansSpare = scans;
    const flushes = this.#flushes;
    for (let index = 0; index < flushes.length; index++) (flushes[index] as () => void)(); // T1
    flushes.length = 0;
    this.#running = false;
  }
}
