/**
 * One verdict about one peer, with the reason in words. Pure: the caller passes what it has seen and the time.
 *
 * H1: every verdict has a reason that an operator can act on.
 * H2: evidence alone (failures, errors, latency, a late PONG) never takes the last working peer out; a lost link, a
 *     drain or an operator's word does.
 */
import type { HealthConfig } from '../config/cluster-schema.ts';
import type { TakenOut } from '../published-state.ts';
import { EVIDENCE_REPLIES_MIN, type PeerEvidence } from './peer-evidence.ts';

export type PeerState = 'ready' | 'suspect' | 'ejected' | 'drain' | 'maint' | 'down';

export interface Verdict {
  readonly state: PeerState;
  readonly reason: string;
}

export interface PeerFacts {
  readonly linkOpen: boolean;
  /** Why not, when it is not. */
  readonly linkReason: string;
  readonly draining: boolean;
  /** By an operator. */
  readonly takenOut: TakenOut | undefined;
  readonly silentMs: number;
  readonly evidence: PeerEvidence;
}

export interface Surroundings {
  readonly nowMs: number;
  /** Median latency of the peers that can be compared; 0 when there is no other. */
  readonly medianLatencyMs: number;
  /** Whether this peer is the only one that could work (H2). */
  readonly last: boolean;
}

const BY_OPERATOR = 'an operator took it out; `trunkline ready` puts it back';

export function healthVerdict(facts: PeerFacts, policy: HealthConfig, around: Surroundings): Verdict {
  if (facts.takenOut === 'maint') return { state: 'maint', reason: `maint: ${BY_OPERATOR}` }; // H1
  if (!facts.linkOpen)
    return { state: 'down', reason: facts.linkReason === '' ? 'not connected yet' : facts.linkReason };
  if (facts.takenOut === 'drain') return { state: 'drain', reason: `drain: ${BY_OPERATOR}` };
  if (facts.draining) return { state: 'drain', reason: 'draining: it finishes what it has and takes nothing new' };
  const doubt = doubtAbout(facts, policy, around);
  if (doubt === undefined) return { state: 'ready', reason: 'working' };
  if (around.last) return { state: 'ready', reason: `working, though ${doubt.reason}: it is the last one` }; // H2
  return doubt;
}

/** Whether fresh evidence ejects a peer that works now. @returns the reason, or '' */
export function ejectionReason(evidence: PeerEvidence, policy: HealthConfig, around: Surroundings): string {
  if (evidence.consecutiveFailures >= policy.consecutiveFailuresMax) {
    return `${evidence.consecutiveFailures} consecutive failures`;
  }
  if (evidence.replies < EVIDENCE_REPLIES_MIN) return '';
  if (evidence.errorRate > policy.errorRateMax) {
    return `${Math.round(evidence.errorRate * 100)} % of its replies failed (limit ${Math.round(policy.errorRateMax * 100)} %)`;
  }
  const slowest = Math.max(policy.slowMsMin, around.medianLatencyMs * policy.slowRatioMax);
  if (around.medianLatencyMs > 0 && evidence.latencyMs > slowest) {
    return `its replies take ${Math.round(evidence.latencyMs)} ms (others ${Math.round(around.medianLatencyMs)} ms)`;
  }
  return '';
}

function doubtAbout(facts: PeerFacts, policy: HealthConfig, around: Surroundings): Verdict | undefined {
  const { evidence } = facts;
  if (evidence.ejectedUntilMs > around.nowMs) {
    const seconds = Math.ceil((evidence.ejectedUntilMs - around.nowMs) / 1000);
    return { state: 'ejected', reason: `ejected: ${evidence.ejectedBecause}; retry in ${seconds} s` };
  }
  if (facts.silentMs > policy.pongSuspectMs) {
    return {
      state: 'suspect',
      reason: `silent for ${Math.round(facts.silentMs)} ms (limit ${policy.pongSuspectMs} ms)`,
    };
  }
  return undefined;
}
