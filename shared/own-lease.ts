/**
 * A server's own view of its lease at the coordinator: until when it may believe that it has one. Pure.
 *
 * L1: counted from when the renewal was sent, not from when its answer came, so this side never believes longer than
 *     the coordinator does. The newest answer counts, also when it promises less than the one before.
 * L2: an answer to a renewal that was not sent on this link changes nothing.
 */

/** Renewals that may be waiting for their answer; at three a lease, older ones could not prolong anything. */
const UNANSWERED_MAX = 8;

export interface OwnLease {
  /** Next renewal's number. */
  readonly nextSequence: number;
  /** Renewals not yet answered, oldest first. */
  readonly sent: readonly { readonly sequence: number; readonly atMs: number }[];
  /** The lease is held while nowMs is below this. */
  readonly untilMs: number;
}

/** A link has opened and the join (sequence 0) was sent on it; a lease from before runs on. */
export function leaseAtJoin(before: OwnLease | undefined, nowMs: number): OwnLease {
  return {
    nextSequence: 1,
    sent: [{ sequence: 0, atMs: nowMs }],
    untilMs: before?.untilMs ?? Number.NEGATIVE_INFINITY,
  };
}

export function leaseAtRenewal(lease: OwnLease, nowMs: number): OwnLease {
  const sent = [...lease.sent, { sequence: lease.nextSequence, atMs: nowMs }].slice(-UNANSWERED_MAX);
  return { ...lease, nextSequence: lease.nextSequence + 1, sent };
}

/** @param ttlMs from the answer; 0: the coordinator knows no lease of ours */
export function leaseAtAnswer(lease: OwnLease, sequence: number, ttlMs: number): OwnLease {
  const answered = lease.sent.find((renewal) => renewal.sequence === sequence);
  if (answered === undefined) return lease; // L2
  const sent = lease.sent.filter((renewal) => renewal.sequence > sequence);
  if (ttlMs === 0) return { ...lease, sent, untilMs: Number.NEGATIVE_INFINITY };
  return { ...lease, sent, untilMs: answered.atMs + ttlMs }; // L1
}
