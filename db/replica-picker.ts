/**
 * Which replica answers a read. Pure: the caller brings the time and the dice.
 *
 * K1: a replica that is not in step is never picked.
 * K2: one that failed rests, longer after each further failure, and is then tried with one read.
 * K3: otherwise the lowest expected time wins: latency (moving average) × (reads under way + 1).
 * K4: one read in PROBE_EVERY goes to another one, so that a slow replica that recovered is found out.
 */

const PROBE_EVERY = 32;
/** Weight of the newest latency in the average: about the last ten reads count. */
const LATENCY_WEIGHT = 0.2;
/** What a replica nobody has read yet is thought to take: little, so that it is tried. */
const LATENCY_MS_FIRST = 0.1;
const REST_MS_MIN = 100;
const REST_MS_MAX = 5_000;

export interface ReplicaScore {
  latencyMs: number;
  inFlight: number;
  inStep: boolean;
  failures: number;
  /** K2: picked again only after this. */
  restsUntilMs: number;
}

export function newScore(): ReplicaScore {
  return { latencyMs: LATENCY_MS_FIRST, inFlight: 0, inStep: false, failures: 0, restsUntilMs: 0 };
}

/**
 * @param dice 0 ≤ x < 1
 * @param tried replicas that have failed this read already
 * @returns index, or -1 when none is left. Replicas that rest are used when there is no other.
 */
export function pickReplica(
  scores: readonly ReplicaScore[],
  nowMs: number,
  dice: number,
  tried: readonly number[],
): number {
  const usable: number[] = [];
  const resting: number[] = [];
  for (const [index, score] of scores.entries()) {
    if (!score.inStep || tried.includes(index)) continue; // K1
    if (nowMs >= score.restsUntilMs && (score.failures === 0 || score.inFlight === 0))
      usable.push(index); // K2
    else resting.push(index);
  }
  const candidates = usable.length > 0 ? usable : resting;
  if (candidates.length > 1 && dice < 1 / PROBE_EVERY) {
    return candidates[Math.floor(dice * PROBE_EVERY * candidates.length)] ?? -1; // K4
  }
  let best = -1;
  let bestMs = Infinity;
  for (const index of candidates) {
    const expectedMs = expected(scores[index]); // K3
    if (expectedMs < bestMs) {
      best = index;
      bestMs = expectedMs;
    }
  }
  return best;
}

export function noteRead(score: ReplicaScore, tookMs: number): void {
  score.latencyMs += (tookMs - score.latencyMs) * LATENCY_WEIGHT;
  score.failures = 0;
}

/** K2. */
export function noteReadFailed(score: ReplicaScore, nowMs: number): void {
  score.failures += 1;
  score.restsUntilMs = nowMs + Math.min(REST_MS_MAX, REST_MS_MIN * 2 ** Math.min(score.failures - 1, 10));
}

function expected(score: ReplicaScore | undefined): number {
  return score === undefined ? Infinity : score.latencyMs * (score.inFlight + 1);
}
