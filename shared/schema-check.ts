/**
 * Asks a schema about a value that anybody may have sent.
 *
 * Z1: it never throws. zod compares the `length` of a value before it knows that the value is text, and JSON can hold a
 *     `length` that cannot be compared: `{"length":{"toString":1}}`. It also walks as deep as the value goes.
 */
import type { z } from 'zod';

/** @returns what zod says, or undefined when it cannot take the value up at all: it fits no schema */
export function checkSchema<T>(schema: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> | undefined {
  try {
    return schema.safeParse(value);
  } catch (thrown) {
    if (thrown instanceof TypeError || thrown instanceof RangeError) return undefined; // Z1
    throw thrown;
  }
}
