/**
 * Hostile inputs made out of sound ones, a microsecond each, so that a soak can try a million: a few bytes of a sample
 * changed, cut, doubled or spliced, a number set to where lengths overflow, a JSON value put in another's place.
 *
 * X1: the same seed and samples give the same input, on every machine.
 */

/** Lengths and counts that break what adds or compares them carelessly. */
const EDGES_32 = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff];
const EDGES_8 = [0, 1, 9, 10, 13, 32, 34, 37, 44, 45, 47, 58, 91, 92, 93, 123, 125, 127, 128, 0xc3, 0xed, 0xf4, 0xff];

const VALUES = [
  'null',
  'true',
  '0',
  '-1',
  '-0',
  '1.5',
  '1e309',
  '9007199254740993',
  '""',
  '[]',
  '{}',
  '[[]]',
  '"__proto__"',
  '{"__proto__":{"a":1}}',
  '{"toString":1,"length":-1}',
  '"\\ud800"',
  '"\\u0000"',
  `"${'x'.repeat(300)}"`,
].map((text) => Buffer.from(text));

const COMMA = 44;
const COLON = 58;
const CLOSERS = [COMMA, 93, 125];

/** Longest input made of nothing but chance. */
const CHANCE_BYTES_MAX = 96;
const EDITS_MAX = 4;
/** What doubling may grow a sample to. */
const INPUT_BYTES_MAX = 64 * 1024;

/** mulberry32, as in shared/random.ts, on 32-bit integers only. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0..below−1 */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

/** X1. @param samples sound inputs, ≥ 1. @returns now and then one of them, or bytes of chance; else one changed */
export function hostileInput(chance: Chance, samples: readonly Buffer[]): Buffer {
  const kind = chance.below(16);
  if (kind === 0) return bytesOfChance(chance, chance.below(CHANCE_BYTES_MAX));
  const sample = chance.of(samples);
  if (kind === 1) return Buffer.from(sample);
  let input = Buffer.from(sample);
  for (let edits = 1 + chance.below(EDITS_MAX); edits > 0; edits--) input = edited(chance, input, samples);
  return input;
}

function edited(chance: Chance, input: Buffer<ArrayBuffer>, samples: readonly Buffer[]): Buffer<ArrayBuffer> {
  const { length } = input;
  if (length === 0) return bytesOfChance(chance, 1 + chance.below(8));
  const at = chance.below(length);
  switch (chance.below(10)) {
    case 0:
      input[at] = (input[at] as number) ^ (1 << chance.below(8));
      return input;
    case 1:
    case 2:
      input[at] = chance.of(EDGES_8);
      return input;
    case 3:
      if (length >= at + 4) input.writeUInt32LE(chance.of(EDGES_32), at);
      return input;
    case 4:
      if (length >= at + 2) input.writeUInt16LE(chance.of(EDGES_32) & 0xffff, at);
      return input;
    case 5:
      return input.subarray(0, at);
    case 6:
      return joined(input.subarray(0, at), input.subarray(Math.min(length, at + 1 + chance.below(8))));
    case 7: {
      const to = Math.min(length, at + 1 + chance.below(64));
      return length > INPUT_BYTES_MAX ? input : joined(input.subarray(0, to), input.subarray(at));
    }
    case 8: {
      const other = chance.of(samples);
      return joined(input.subarray(0, at), other.subarray(chance.below(other.length + 1)));
    }
    default:
      return withOtherValue(chance, input, at);
  }
}

/** Puts a value where a JSON value stands behind a colon or a comma; what is no JSON is left as it is. */
function withOtherValue(chance: Chance, input: Buffer<ArrayBuffer>, at: number): Buffer<ArrayBuffer> {
  let from = at;
  while (from < input.length && input[from] !== COLON && input[from] !== COMMA) from++;
  if (from === input.length) return input;
  let to = ++from;
  while (to < input.length && !CLOSERS.includes(input[to] as number)) to++;
  return joined(input.subarray(0, from), chance.of(VALUES), input.subarray(to));
}

function bytesOfChance(chance: Chance, count: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.allocUnsafe(count);
  for (let at = 0; at < count; at++) bytes[at] = chance.below(256);
  return bytes;
}

function joined(...parts: readonly Buffer[]): Buffer<ArrayBuffer> {
  return Buffer.concat(parts);
}
