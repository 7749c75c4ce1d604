/**
 * Door to prom-client. Hot paths count in plain numbers here; prom-client sees them when somebody scrapes.
 *
 * M1: counting is one addition on an object kept by the caller: no map look-up, no label object per request.
 * M2: the number of series of one name is bounded by SERIES_MAX; what is past it is counted under `other`.
 */
import type { Registry as PromRegistry } from 'prom-client';
import { requirePackage } from './require-package.ts';
import type { Tier } from './server-process.ts';

const { collectDefaultMetrics, Registry } = requirePackage('prom-client') as typeof import('prom-client');

export type Labels = Readonly<Record<string, string>>;

/** M1: add to `value`. */
export interface Counter {
  value: number;
}

/** Most label sets of one metric: 100 routes × a few statuses. */
const SERIES_MAX = 500;

/** Upper bounds in ms, from a cache hit to a deadline. */
const LATENCY_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/** Latencies by bucket (M1). */
export class Histogram {
  readonly counts = new Float64Array(LATENCY_BOUNDS_MS.length + 1);
  sumMs = 0;
  count = 0;

  /** @param elapsedMs ≥ 0 */
  observe(elapsedMs: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_MS.length && elapsedMs > (LATENCY_BOUNDS_MS[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sumMs += elapsedMs;
    this.count++;
  }
}

interface Series<Value> {
  readonly labels: Labels;
  readonly value: Value;
}

interface Sample {
  readonly metricName?: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #families = new Map<string, Map<string, Series<unknown>>>();

  constructor(
    identity: { readonly serverId: string; readonly tier: Tier },
    options: { readonly processMetrics?: boolean } = {},
  ) {
    this.#registry.setDefaultLabels({ server: identity.serverId, tier: identity.tier });
    if (options.processMetrics !== false) collectDefaultMetrics({ register: this.#registry });
  }

  /** A counter; the same name and labels give the same object. @param name ends in `_total` */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#series(
      name,
      help,
      'counter',
      labels,
      () => ({ value: 0 }),
      (counter) => [{ labels: {}, value: counter.value }],
    );
  }

  /** A latency histogram, exported in seconds. @param name ends in `_seconds` */
  latency(name: string, help: string, labels: Labels = {}): Histogram {
    return this.#series(
      name,
      help,
      'histogram',
      labels,
      () => new Histogram(),
      (histogram) => histogramSamples(name, histogram),
    );
  }

  /** A gauge whose values are asked for at each scrape. */
  gauge(name: string, help: string, read: () => number | readonly { labels: Labels; value: number }[]): void {
    const samples = (): Sample[] => {
      const got = read();
      if (typeof got === 'number') return [{ labels: {}, value: got }];
      return got.slice(0, SERIES_MAX).map(({ labels, value }) => ({ labels: { ...labels }, value }));
    };
    this.#register(name, help, 'gauge', samples);
  }

  /** Prometheus text of everything. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #series<Value>(
    name: string,
    help: string,
    type: string,
    labels: Labels,
    create: () => Value,
    samplesOf: (value: Value) => Sample[],
  ): Value {
    let family = this.#families.get(name) as Map<string, Series<Value>> | undefined;
    if (family === undefined) {
      const created = new Map<string, Series<Value>>();
      family = created;
      this.#families.set(name, created);
      this.#register(name, help, type, () =>
        [...created.values()].flatMap((series) =>
          samplesOf(series.value).map((sample) => ({ ...sample, labels: { ...series.labels, ...sample.labels } })),
        ),
      );
    }
    const bounded =
      family.size < SERIES_MAX ? labels : Object.fromEntries(Object.keys(labels).map((key) => [key, 'other'])); // M2
    const key = JSON.stringify(labels);
    const known = family.get(key) ?? family.get(JSON.stringify(bounded));
    if (known !== undefined) return known.value;
    const series = { labels: bounded, value: create() };
    family.set(JSON.stringify(bounded), series);
    return series.value;
  }

  #register(name: string, help: string, type: string, samples: () => Sample[]): void {
    const metric = {
      name,
      help,
      type,
      aggregator: 'sum',
      get: async () => ({ name, help, type, aggregator: 'sum', values: samples() }),
      reset: () => {},
    };
    this.#registry.registerMetric(metric as unknown as Parameters<PromRegistry['registerMetric']>[0]);
  }
}

function histogramSamples(name: string, histogram: Histogram): Sample[] {
  const samples: Sample[] = [];
  let cumulative = 0;
  for (const [bucket, boundMs] of LATENCY_BOUNDS_MS.entries()) {
    cumulative += histogram.counts[bucket] as number;
    samples.push({ metricName: `${name}_bucket`, labels: { le: boundMs / 1000 }, value: cumulative });
  }
  samples.push({ metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: histogram.count });
  samples.push({ metricName: `${name}_sum`, labels: {}, value: histogram.sumMs / 1000 });
  samples.push({ metricName: `${name}_count`, labels: {}, value: histogram.count });
  return samples;
}
