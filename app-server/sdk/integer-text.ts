/** Integers in paths and queries, where everything is text. */
import { z } from 'zod';

/** Digits of 2^53 - 1. */
const DIGITS_MAX = 16;

/**
 * Schema for an integer written in decimal, such as `?limit=20`; `1e2`, `0x10`, ` 5` and '' are refused.
 * @param range both inclusive, within ±(2^53 - 1)
 */
export function integerText(range: { readonly min: number; readonly max: number }) {
  const expected = `expected an integer of ${range.min}..${range.max}`;
  return z
    .string(expected)
    .regex(new RegExp(`^-?\\d{1,${DIGITS_MAX}}$`), expected)
    .transform(Number)
    .refine((value) => value >= range.min && value <= range.max, expected);
}
