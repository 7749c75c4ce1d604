/** What a server has seen of one peer, in numbers: updated per reply, without allocation; judged by health-verdict.ts. */

/** Weight of the newest reply in the running averages: about the last 50 replies count. */
const NEWEST_WEIGHT = 0.04;

/** Replies before rates and latencies say anything. */
export const EVIDENCE_REPLIES_MIN = 20;

export class PeerEvidence {
  consecutiveFailures = 0;
  /** Running share of failed replies, 0..1. */
  errorRate = 0;
  /** Running average, ms. */
  latencyMs = 0;
  /** Replies since the peer came (back). */
  replies = 0;
  /** The peer rests until then; 0: it does not. */
  ejectedUntilMs = 0;
  ejectedBecause = '';

  recordReply(failed: boolean, latencyMs: number): void {
    this.replies++;
    // The first ones count alike: one slow reply of a cold server must not speak for twenty.
    const weight = this.replies * NEWEST_WEIGHT < 1 ? 1 / this.replies : NEWEST_WEIGHT;
    this.errorRate += ((failed ? 1 : 0) - this.errorRate) * weight;
    this.latencyMs += (latencyMs - this.latencyMs) * weight;
    if (failed) this.consecutiveFailures++;
    else this.consecutiveFailures = 0;
  }

  /** A restarted peer, or one that comes back from its rest, starts with a clean sheet. */
  reset(): void {
    this.consecutiveFailures = 0;
    this.errorRate = 0;
    this.latencyMs = 0;
    this.replies = 0;
    this.ejectedUntilMs = 0;
    this.ejectedBecause = '';
  }
}
