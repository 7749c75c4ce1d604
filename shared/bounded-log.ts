/** Lets at most so many lines through per period, so that a peer gone wrong cannot fill the disk with its faults. Pure. */

export interface BoundedLogOptions {
  readonly linesMax: number;
  readonly periodMs: number;
}

export class BoundedLog {
  readonly #options: BoundedLogOptions;
  #periodEndsAtMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #dropped = 0;

  constructor(options: BoundedLogOptions) {
    this.#options = options;
  }

  /** @returns whether this line may be written, and how many were not since the last that was */
  admit(nowMs: number): { readonly write: boolean; readonly dropped: number } {
    if (nowMs >= this.#periodEndsAtMs) {
      this.#periodEndsAtMs = nowMs + this.#options.periodMs;
      this.#lines = 0;
    }
    if (this.#lines >= this.#options.linesMax) {
      this.#dropped++;
      return { write: false, dropped: this.#dropped };
    }
    this.#lines++;
    const dropped = this.#dropped;
    this.#dropped = 0;
    return { write: true, dropped };
  }
}
