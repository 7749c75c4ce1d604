/** How long and how often benchmarks measure: the options of `trunkline bench`, which it hands on to each part. */
import { parseArgs } from 'node:util';
import { PlatformError } from '../../shared/errors.ts';

export interface BenchOptions {
  /** Times that each contestant has its turn; figures are medians over them. */
  readonly rounds: number;
  /** Of load in one turn. */
  readonly seconds: number;
  /** Of load in which memory must not grow. */
  readonly minutes: number;
}

export const BENCH_DEFAULTS: BenchOptions = { rounds: 5, seconds: 4, minutes: 1 };

/** Fewer rounds are a look: neither results nor documents are written. */
export const ROUNDS_WRITTEN_MIN = 5;

const BOUNDS: Readonly<Record<keyof BenchOptions, readonly [min: number, max: number]>> = {
  rounds: [1, 101],
  seconds: [1, 600],
  minutes: [0.1, 600],
};

/** @throws PlatformError USAGE */
export function readBenchOptions(args: readonly string[]): BenchOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...args], options: { rounds: text, seconds: text, minutes: text } });
  const numberOf = (name: keyof BenchOptions): number => {
    const [min, max] = BOUNDS[name];
    const value = values[name] === undefined ? BENCH_DEFAULTS[name] : Number(values[name]);
    const whole = name === 'minutes' || Number.isInteger(value);
    if (whole && value >= min && value <= max) return value;
    const expected = `${name === 'minutes' ? 'a number' : 'a whole number'} of ${min}..${max}`;
    throw new PlatformError('USAGE', `Expected --${name} to be ${expected}, got ${values[name]}.`);
  };
  return { rounds: numberOf('rounds'), seconds: numberOf('seconds'), minutes: numberOf('minutes') };
}

/** What `readBenchOptions` reads again. */
export function benchArguments(options: BenchOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}
