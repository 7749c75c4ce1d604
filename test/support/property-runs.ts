/**
 * How many cases each property test tries. The default keeps `npm test` quick; a soak raises it:
 * `FC_RUNS=200000 ./trunkline test shared/link`. A failure prints its seed and path, which fast-check takes to replay.
 */
import fc from 'fast-check';

const DEFAULT_RUNS = 2_000;

/** Cases per property; a positive whole number from the environment's FC_RUNS, or 2,000. */
export const FC_RUNS = runsFrom(process.env['FC_RUNS']);

fc.configureGlobal({ numRuns: FC_RUNS });

/** For properties of which one case costs milliseconds: a tenth, or a hundredth, of the cases. */
export function fewerRuns(divisor: number): { numRuns: number } {
  return { numRuns: Math.max(1, Math.ceil(FC_RUNS / divisor)) };
}

function runsFrom(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_RUNS;
  const runs = Number(text);
  if (Number.isSafeInteger(runs) && runs >= 1) return runs;
  throw new Error(`expected FC_RUNS to be a whole number ≥ 1, got "${text}"`);
}
