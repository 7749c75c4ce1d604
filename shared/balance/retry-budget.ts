/**
 * How many retries a server may add to its traffic. Pure.
 *
 * B1: over time retries stay under `ratio` of the requests.
 * B2: a burst of BURST_MAX is allowed at once: a killed peer takes everything that was in flight to it along.
 * B3: a ratio of 0 allows none at all.
 */
const BURST_MAX = 1_000;

export class RetryBudget {
  ratio: number;
  #tokens = BURST_MAX; // B2

  /** @param ratio 0..1 */
  constructor(ratio: number) {
    this.ratio = ratio;
  }

  /** A request, not a retry, was sent. */
  noteRequest(): void {
    if (this.#tokens < BURST_MAX) this.#tokens += this.ratio; // B1
  }

  /** @returns whether one retry may be sent now */
  take(): boolean {
    if (this.#tokens < 1 || this.ratio === 0) return false; // B3
    this.#tokens--;
    return true;
  }
}
