/** What an app server counts. The table of all metrics is in docs/metrics.md. */
import type { ErrorCode } from '../shared/errors.ts';
import type { Histogram, Metrics } from '../shared/metrics.ts';

export class AppMetrics {
  readonly #metrics: Metrics;
  readonly #latency: Histogram;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#latency = metrics.latency('trunkline_handler_duration_seconds', 'Time in the handler, its database included');
  }

  handled(elapsedMs: number): void {
    this.#latency.observe(elapsedMs);
  }

  failed(code: ErrorCode): void {
    this.#metrics.counter('trunkline_request_failures_total', 'Requests answered with a problem, by code', { code })
      .value++;
  }
}
