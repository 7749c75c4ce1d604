/**
 * How much of a request's time is handed on. A hop keeps a little for itself, so that the tier where the time ran out
 * is the one that says so, with what it knows, and not whoever waits for it.
 */

const KEPT_MS_MAX = 50;
const KEPT_SHARE = 0.05;

/** @param leftMs time left here @returns whole ms for the next hop, at least 1 */
export function timeForNextHop(leftMs: number): number {
  return Math.max(1, Math.round(leftMs - Math.min(KEPT_MS_MAX, leftMs * KEPT_SHARE)));
}
