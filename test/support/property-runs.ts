/**
 * How many cases each property test tries, and from which seed. The default keeps `npm test` quick; a soak raises what
 * parsers get: `FC_RUNS=200000 ./trunkline test shared/link` sets both for a run of your own.
 *
 * Every file prints the seed of its run, green or not: `FC_SEED=… ./trunkline test …` tries the same cases again.
 */
import fc from 'fast-check';
import { systemRandom } from '../../shared/random.ts';
import { lengthOf } from './soak.ts';

const DEFAULT_RUNS = 2_000;
const SOAK_PARSER_RUNS = 1_000_000;

/** Cases per property; a positive whole number from the environment's FC_RUNS, or 2,000. */
export const FC_RUNS = wholeNumberFrom('FC_RUNS', 1) ?? DEFAULT_RUNS;

/** Cases per parser (parser-property.ts): as many as FC_RUNS says, or 2,000, and in a soak 1,000,000. */
export const PARSER_RUNS = wholeNumberFrom('FC_RUNS', 1) ?? lengthOf(DEFAULT_RUNS, SOAK_PARSER_RUNS);

/** One for all properties of this process. */
const SEED = wholeNumberFrom('FC_SEED', 0) ?? systemRandom.bytes(4).readUInt32LE() >>> 1;

fc.configureGlobal({ numRuns: FC_RUNS, seed: SEED });
console.log(`fast-check seed: FC_SEED=${SEED}`);

/** For properties of which one case costs milliseconds: a tenth, or a hundredth, of the cases. */
export function fewerRuns(divisor: number): { numRuns: number } {
  return { numRuns: Math.max(1, Math.ceil(FC_RUNS / divisor)) };
}

function wholeNumberFrom(name: string, min: number): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new Error(`expected ${name} to be a whole number ≥ ${min}, got "${text}"`);
}
