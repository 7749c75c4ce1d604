/**
 * The length of a fault test: short in `npm test`, full in `./trunkline check --soak`.
 *
 * A soak changes how long and how much, never what is expected.
 */

/** Whether this is a soak: `./trunkline check --soak` sets TRUNKLINE_SOAK. */
export const SOAK = process.env['TRUNKLINE_SOAK'] === '1';

/** @returns `short` in `npm test`, `full` in a soak */
export function lengthOf<T>(short: T, full: T): T {
  return SOAK ? full : short;
}
