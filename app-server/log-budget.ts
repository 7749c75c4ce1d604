/** Keeps one kind of log line from flooding: so many a second, and the next one says how many were left out. */

const LINES_PER_SECOND_MAX = 20;

export class LogBudget {
  #secondAtMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;

  /** @returns undefined to stay silent; else how many lines were left out since the last one written */
  take(nowMs: number): number | undefined {
    if (nowMs - this.#secondAtMs >= 1000) {
      this.#secondAtMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_PER_SECOND_MAX) {
      this.#leftOut += 1;
      return undefined;
    }
    this.#lines += 1;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
