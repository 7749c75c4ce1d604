/** What is measured: names, how a table shows them, and how the samples of several rounds become one. */
import { median } from './median.ts';

interface FigureKind {
  readonly heading: string;
  readonly digits: number;
  /** Default: the median. */
  readonly overRounds?: 'sum';
}

export const FIGURES = {
  requestsPerSecond: { heading: 'requests/s', digits: 0 },
  p50Micros: { heading: 'p50 µs', digits: 0 },
  p99Micros: { heading: 'p99 µs', digits: 0 },
  cpuMicrosPerRequest: { heading: 'CPU µs/request', digits: 1 },
  rssMiB: { heading: 'RSS MiB', digits: 0 },
  kibPerConnection: { heading: 'KiB/connection', digits: 1 },
  rssFirstMiB: { heading: 'RSS MiB at first', digits: 0 },
  rssLastMiB: { heading: 'RSS MiB at last', digits: 0 },
  rssGrowth: { heading: 'last ÷ first', digits: 2 },
  failures: { heading: 'failures', digits: 0, overRounds: 'sum' },
} as const satisfies Record<string, FigureKind>;

export type FigureName = keyof typeof FIGURES;
export type Sample = Readonly<Partial<Record<FigureName, number>>>;

/** All that was measured of one contestant in one case, in the order of the rounds. */
export interface Series {
  readonly case: string;
  readonly contestant: string;
  readonly samples: readonly Sample[];
}

export interface Row {
  readonly case: string;
  readonly contestant: string;
  readonly figures: Sample;
}

export function rowOf(series: Series): Row {
  const names = figureNamesOf(series.samples);
  const figures = names.map((name) => [name, overRounds(name, series.samples)] as const);
  return { case: series.case, contestant: series.contestant, figures: Object.fromEntries(figures) };
}

/** In the order of FIGURES. */
export function figureNamesOf(samples: readonly Sample[]): FigureName[] {
  return (Object.keys(FIGURES) as FigureName[]).filter((name) => samples.some((sample) => sample[name] !== undefined));
}

export function figureText(name: FigureName, value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(FIGURES[name].digits);
}

function overRounds(name: FigureName, samples: readonly Sample[]): number {
  const values = samples.flatMap((sample) => sample[name] ?? []);
  const kind: FigureKind = FIGURES[name];
  const value = kind.overRounds === 'sum' ? values.reduce((sum, one) => sum + one, 0) : median(values);
  return Number(value.toFixed(FIGURES[name].digits));
}
