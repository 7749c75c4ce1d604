/** What a dispatcher counts. The table of all metrics is in docs/metrics.md. */
import type { ErrorCode } from '../shared/errors.ts';
import type { Counter, Histogram, Metrics } from '../shared/metrics.ts';

export class DispatcherMetrics {
  readonly retries: Counter;
  readonly held: Counter;
  readonly #metrics: Metrics;
  readonly #requests: Counter;
  readonly #latency: Histogram;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#requests = metrics.counter('trunkline_requests_total', 'Requests answered');
    this.retries = metrics.counter('trunkline_retries_total', 'Requests sent again to another server');
    this.held = metrics.counter(
      'trunkline_requests_held_total',
      'Times a request was held while a map or view changed',
    );
    this.#latency = metrics.latency(
      'trunkline_request_duration_seconds',
      'From the request to its reply, as this tier sees it',
    );
  }

  answered(elapsedMs: number): void {
    this.#requests.value++;
    this.#latency.observe(elapsedMs);
  }

  failed(code: ErrorCode): void {
    this.#metrics.counter('trunkline_request_failures_total', 'Requests answered with a problem, by code', { code })
      .value++;
  }
}
