/**
 * The property that every parser of the product keeps: whatever bytes it is given, it reads them, or refuses them with
 * its own typed error; nothing else is ever thrown.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, PlatformError } from '../../shared/errors.ts';
import { Chance, hostileInput } from './mutation.ts';
import { PARSER_RUNS } from './property-runs.ts';

export interface ParserProperty {
  /** Sound inputs: what the parser was made for. */
  readonly samples: readonly (Buffer | string)[];
  /**
   * Parses, and asserts what must hold of what came out.
   * @param chance for whatever else the case needs
   * @returns whether the input was taken: some must be, or the property looks at nothing
   */
  readonly parse: (input: Buffer, chance: Chance) => boolean;
  /** Codes of PlatformErrors that it may refuse with by throwing. Default: it throws nothing. */
  readonly refusals?: readonly ErrorCode[];
  /** For parsers of which one case costs long: this share of the cases. */
  readonly divisor?: number;
}

/** A share of all cases, at least; far below what any parser here takes of changed samples. */
const TAKEN_SHARE_MIN = 0.01;

/** Tries PARSER_RUNS hostile inputs on a parser, and its samples, which it must take. */
export function parserTest(name: string, property: ParserProperty): void {
  const samples = property.samples.map((sample) => Buffer.from(sample as string));
  const runs = Math.ceil(PARSER_RUNS / (property.divisor ?? 1));
  const refusals = property.refusals ?? [];
  test(`${name}: whatever comes is read, or refused with a typed error`, (context) => {
    for (const sample of samples) {
      const text = sample.toString('latin1').slice(0, 200);
      assert.ok(property.parse(Buffer.from(sample), new Chance(1)), `expected the sample to be taken: ${text}`);
    }
    let taken = 0;
    const tryOne = (seed: number): void => {
      const chance = new Chance(seed);
      const input = hostileInput(chance, samples);
      try {
        if (property.parse(input, chance)) taken++;
      } catch (thrown) {
        if (thrown instanceof PlatformError && refusals.includes(thrown.code)) return;
        const shown = JSON.stringify(input.toString('latin1').slice(0, 2_000));
        const why = thrown instanceof Error ? thrown.stack : String(thrown);
        throw new Error(`${name}, on ${shown}: ${why}`, { cause: thrown });
      }
    };
    const startedAt = performance.now();
    // A seed is not made simpler by making it smaller, and every case is to be another one.
    const seeds = fc.noShrink(fc.noBias(fc.integer()));
    fc.assert(fc.property(seeds, tryOne), { numRuns: runs, includeErrorInReport: true });
    const micros = ((performance.now() - startedAt) * 1_000) / runs;
    context.diagnostic(`${runs} cases, ${Math.round(micros * 10) / 10} µs each, ${taken} taken`);
    assert.ok(taken >= runs * TAKEN_SHARE_MIN, `only ${taken} of ${runs} inputs were taken: this looks at nothing`);
  });
}
