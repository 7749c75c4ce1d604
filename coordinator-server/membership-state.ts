/**
 * Who is alive: members and their leases. Decides only; it knows no clock, no links and no disk, so the same calls
 * with the same times always give the same result. It is changed in place because thousands of renewals a second
 * must not copy thousands of members each.
 *
 * M1: a lease is counted from when its renewal was received here, and the member counts it from when it sent it: the
 *     member therefore stops believing in its lease before the coordinator does, never after.
 * M2: a restarted server is another incarnation. The newest to join holds the server's id, and while it lives no
 *     incarnation that it replaced can come back.
 * M3: once a lease was declared expired it cannot be renewed: the member has to join again, and so learns that it was
 *     taken for dead. Declaring late is safe (M1); the driver does so when it was itself stopped for a while.
 * M4: at most MEMBERS_MAX members are remembered, and those that are gone are forgotten after FORGET_AFTER_MS.
 */
import type { Tier } from '../shared/server-process.ts';

/** More than any config can name (100 groups of 64 app servers, and 64 servers in each other tier). */
export const MEMBERS_MAX = 10_000;
/** Long enough for an operator to see in the status who went away, and when. */
export const FORGET_AFTER_MS = 600_000;
/** Incarnations remembered as replaced, per server: more restarts than fit into one lease. */
export const REPLACED_MAX = 16;

export interface MemberIdentity {
  readonly tier: Tier;
  readonly serverId: string;
  readonly incarnation: string;
  readonly listen: string;
  readonly admin: string;
  readonly version: string;
}

export type Lease =
  | { readonly kind: 'alive'; readonly renewedAtMs: number; readonly untilMs: number }
  | { readonly kind: 'expired'; readonly atMs: number }
  | { readonly kind: 'left'; readonly atMs: number };

export interface Member {
  readonly identity: MemberIdentity;
  readonly joinedAtMs: number;
  readonly lease: Lease;
  /** Last load report; null before the first. */
  readonly load: unknown;
  /** Incarnations that this one replaced, oldest first (M2). */
  readonly replaced: readonly string[];
}

export type MembershipEffect =
  | { readonly kind: 'joined'; readonly member: Member }
  /** The lease is good until `member.lease.untilMs`. */
  | { readonly kind: 'leased'; readonly member: Member; readonly ttlMs: number }
  /** Links of this incarnation are to be closed: another one holds the id. */
  | { readonly kind: 'replaced'; readonly serverId: string; readonly incarnation: string }
  | { readonly kind: 'expired'; readonly member: Member }
  | { readonly kind: 'left'; readonly member: Member }
  /** The caller holds no lease and has to join (M3). */
  | { readonly kind: 'unknown'; readonly serverId: string }
  | { readonly kind: 'refused'; readonly serverId: string; readonly reason: string };

export class MembershipState {
  readonly #members = new Map<string, Member>();

  /** @param ttlMs how long the lease lives without renewal */
  join(identity: MemberIdentity, nowMs: number, ttlMs: number): MembershipEffect[] {
    const { serverId, incarnation } = identity;
    const known = this.#members.get(serverId);
    if (known === undefined && this.#members.size >= MEMBERS_MAX) {
      const reason = `At most ${MEMBERS_MAX} members are remembered, and so many have joined within ${FORGET_AFTER_MS} ms.`;
      return [{ kind: 'refused', serverId, reason }]; // M4
    }
    if (known?.lease.kind === 'alive' && known.replaced.includes(incarnation)) {
      const reason = `Incarnation ${incarnation} of ${serverId} was replaced by ${known.identity.incarnation}: stop one of the two processes.`;
      return [{ kind: 'refused', serverId, reason }]; // M2
    }
    const sameLife = known?.lease.kind === 'alive' && known.identity.incarnation === incarnation;
    const replacing = known?.lease.kind === 'alive' && !sameLife ? known : undefined;
    const member: Member = {
      identity,
      joinedAtMs: sameLife ? known.joinedAtMs : nowMs,
      lease: prolonged(sameLife ? known : undefined, nowMs, ttlMs),
      load: sameLife ? known.load : null,
      replaced: sameLife ? known.replaced : replacedBy(replacing),
    };
    this.#members.set(serverId, member);
    const effects: MembershipEffect[] = [];
    if (replacing !== undefined)
      effects.push({ kind: 'replaced', serverId, incarnation: replacing.identity.incarnation });
    if (!sameLife) effects.push({ kind: 'joined', member });
    effects.push({ kind: 'leased', member, ttlMs });
    return effects;
  }

  /** @param load the member's own report, kept as it is */
  renew(serverId: string, incarnation: string, load: unknown, nowMs: number, ttlMs: number): MembershipEffect[] {
    const known = this.#members.get(serverId);
    if (known?.lease.kind !== 'alive' || known.identity.incarnation !== incarnation)
      return [{ kind: 'unknown', serverId }]; // M3
    const member: Member = { ...known, load, lease: prolonged(known, nowMs, ttlMs) };
    this.#members.set(serverId, member);
    return [{ kind: 'leased', member, ttlMs }];
  }

  leave(serverId: string, incarnation: string, nowMs: number): MembershipEffect[] {
    const known = this.#members.get(serverId);
    if (known?.lease.kind !== 'alive' || known.identity.incarnation !== incarnation) return [];
    const member: Member = { ...known, lease: { kind: 'left', atMs: nowMs }, replaced: [] };
    this.#members.set(serverId, member);
    return [{ kind: 'left', member }];
  }

  /** Ends every lease that has run out, and forgets who has been gone for long. To be called several times per lease. */
  expire(nowMs: number): MembershipEffect[] {
    const effects: MembershipEffect[] = [];
    for (const [serverId, known] of this.#members) {
      if (known.lease.kind !== 'alive') {
        if (nowMs - known.lease.atMs >= FORGET_AFTER_MS) this.#members.delete(serverId); // M4
        continue;
      }
      if (nowMs < known.lease.untilMs) continue;
      const member: Member = { ...known, lease: { kind: 'expired', atMs: nowMs }, replaced: [] };
      this.#members.set(serverId, member);
      effects.push({ kind: 'expired', member });
    }
    return effects;
  }

  get(serverId: string): Member | undefined {
    return this.#members.get(serverId);
  }

  /** Members in the order they first joined. */
  list(): Member[] {
    return [...this.#members.values()];
  }
}

/** M1: a lease is never cut short, not even by a config that makes leases shorter: the member was promised the longer. */
function prolonged(known: Member | undefined, nowMs: number, ttlMs: number): Lease {
  const promisedUntilMs = known?.lease.kind === 'alive' ? known.lease.untilMs : Number.NEGATIVE_INFINITY;
  return { kind: 'alive', renewedAtMs: nowMs, untilMs: Math.max(promisedUntilMs, nowMs + ttlMs) };
}

function replacedBy(replacing: Member | undefined): readonly string[] {
  if (replacing === undefined) return [];
  return [...replacing.replaced, replacing.identity.incarnation].slice(-REPLACED_MAX);
}
