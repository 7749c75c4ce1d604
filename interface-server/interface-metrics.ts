/** What an interface server counts. The table of all metrics is in docs/metrics.md. */
import type { ErrorCode, PlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Counter, Histogram, Metrics } from '../shared/metrics.ts';
import type { Exchange } from './exchange.ts';

/** Failures logged per second; the rest are only counted. */
const FAILURE_LINES_PER_SECOND_MAX = 20;

export class InterfaceMetrics {
  readonly cut: Counter;
  readonly aborted: Counter;
  readonly retries: Counter;
  readonly unreadCut: Counter;
  readonly #metrics: Metrics;
  readonly #byStatus: (Counter | undefined)[] = [];
  readonly #latency: Histogram;
  #linesLeft = FAILURE_LINES_PER_SECOND_MAX;
  #linesSinceMs = 0;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.cut = metrics.counter('trunkline_connections_cut_total', 'Connections closed for an ambiguous request');
    this.aborted = metrics.counter('trunkline_requests_aborted_total', 'Requests whose client went away');
    this.retries = metrics.counter('trunkline_retries_total', 'Requests sent again to another server');
    this.unreadCut = metrics.counter(
      'trunkline_replies_unread_total',
      'Replies cut off because their client did not read them',
    );
    this.#latency = metrics.latency(
      'trunkline_request_duration_seconds',
      'From the request to its reply, as this tier sees it',
    );
  }

  answered(status: number, elapsedMs: number): void {
    let counter = this.#byStatus[status];
    if (counter === undefined) {
      counter = this.#metrics.counter('trunkline_requests_total', 'Requests answered, by status', {
        status: String(status),
      });
      this.#byStatus[status] = counter;
    }
    counter.value++;
    this.#latency.observe(elapsedMs);
  }

  failed(code: ErrorCode): void {
    this.#metrics.counter('trunkline_request_failures_total', 'Requests answered with a problem, by code', { code })
      .value++;
  }

  /** One line per failure that an operator may have to look into. */
  logFailure(log: Logger, exchange: Exchange, requestId: string, error: PlatformError): void {
    if (exchange.receivedAtMs - this.#linesSinceMs > 1_000) {
      this.#linesSinceMs = exchange.receivedAtMs;
      this.#linesLeft = FAILURE_LINES_PER_SECOND_MAX;
    }
    if (this.#linesLeft-- <= 0) return;
    const { method, path, clientRequestId, attempt, peer } = exchange;
    log.warn(
      {
        requestId,
        clientRequestId,
        method,
        path,
        attempt,
        dispatcher: peer?.id,
        code: error.code,
        detail: error.detail,
      },
      'request failed',
    );
  }
}
