/**
 * Which of several coordinators leads: the one whose lease holds the `leader` key in etcd.
 *
 * L1: one at a time: the key is made only when it is not there, and goes with its holder's lease.
 * L2: a leader stops believing in it when its own clock says that the lease may have run out, counted from when the last
 *     renewal was sent; etcd counts from when it received it.
 * L3: what it writes is compared with the key's revision, so that a leader that was stopped and does not know yet that
 *     another one leads writes nothing (S4 of etcd-store.ts).
 */
import { type Clock, systemClock, type TimerHandle } from '../../shared/clock.ts';
import { toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Random } from '../../shared/random.ts';
import type { Leadership, LeadershipHandlers } from '../leadership.ts';
import { leaseOf } from './etcd-records.ts';
import type { EtcdStore } from './etcd-store.ts';

/** etcd makes it longer when its own elections take longer. */
const TTL_MS = 2_000;
const RENEWALS_PER_LEASE = 4;
/** A campaign that etcd did not answer. */
const AGAIN_AFTER_MS = 250;

export interface EtcdLeadershipOptions {
  readonly store: EtcdStore;
  readonly serverId: string;
  readonly random: Random;
  readonly log: Logger;
  readonly clock?: Clock | undefined;
}

type Candidacy =
  | { readonly kind: 'following' }
  | { readonly kind: 'campaigning' }
  | { readonly kind: 'leading'; readonly lease: string; readonly modRevision: number; readonly untilMs: number };

export class EtcdLeadership implements Leadership {
  readonly #options: EtcdLeadershipOptions;
  readonly #clock: Clock;
  #candidacy: Candidacy = { kind: 'following' };
  #handlers: LeadershipHandlers | undefined;
  #timer: TimerHandle | undefined;
  #closed = false;

  constructor(options: EtcdLeadershipOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    // L3
    options.store.leadership = () =>
      this.leading && this.#candidacy.kind === 'leading' ? this.#candidacy.modRevision : 0;
    options.store.onLeader = (value) => this.#onLeader(value);
  }

  /** L2 */
  get leading(): boolean {
    return this.#candidacy.kind === 'leading' && this.#clock.nowMs() < this.#candidacy.untilMs;
  }

  get leaderId(): string {
    return this.#options.store.leaderId;
  }

  start(handlers: LeadershipHandlers): void {
    this.#handlers = handlers;
    void this.#campaign();
  }

  /** Hands over at once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const candidacy = this.#candidacy;
    this.#candidacy = { kind: 'following' };
    if (candidacy.kind === 'leading')
      await this.#options.store.connection.revokeLease(candidacy.lease).catch(() => undefined);
  }

  #onLeader(value: string): void {
    if (value === '' && this.#candidacy.kind === 'following' && this.#handlers !== undefined) void this.#campaign();
  }

  /** L1 */
  async #campaign(): Promise<void> {
    if (this.#closed || this.#candidacy.kind !== 'following') return;
    this.#candidacy = { kind: 'campaigning' };
    const { store, serverId, random, log } = this.#options;
    const lease = leaseOf(random.bytes(16).toString('hex'));
    try {
      const sentAtMs = this.#clock.nowMs();
      const ttlMs = await store.connection.grantLease(lease, TTL_MS);
      const key = store.keys.leader;
      const txn = await store.connection.txn([{ key, modRevision: 0 }], [{ kind: 'put', key, value: serverId, lease }]);
      if (txn.succeeded && !this.#closed) {
        this.#candidacy = { kind: 'leading', lease, modRevision: txn.revision, untilMs: sentAtMs + ttlMs };
        this.#renewLater(ttlMs);
        this.#handlers?.onElected();
        return;
      }
      await store.connection.revokeLease(lease);
      this.#candidacy = { kind: 'following' };
      this.#lookLater(ttlMs);
    } catch (thrown) {
      log.warn({ reason: toPlatformError(thrown).detail }, 'no campaign for leadership; tried again');
      this.#candidacy = { kind: 'following' };
      this.#lookLater(AGAIN_AFTER_MS);
    }
  }

  /** For when the end of another one's leadership was not told. */
  #lookLater(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(delayMs, () => void this.#campaign());
  }

  #renewLater(ttlMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(ttlMs / RENEWALS_PER_LEASE, () => void this.#renew(ttlMs));
  }

  async #renew(ttlMs: number): Promise<void> {
    if (this.#closed || this.#candidacy.kind !== 'leading') return;
    const { lease } = this.#candidacy;
    const sentAtMs = this.#clock.nowMs();
    if (!this.leading) return this.#depose(); // L2: this process was stopped for too long
    this.#renewLater(ttlMs);
    const leftMs = await this.#options.store.connection.renewLease(lease).catch(() => undefined);
    if (this.#candidacy.kind !== 'leading' || this.#candidacy.lease !== lease) return;
    if (leftMs === 0) this.#depose();
    else if (leftMs !== undefined) this.#candidacy = { ...this.#candidacy, untilMs: sentAtMs + leftMs };
  }

  #depose(): void {
    this.#timer?.cancel();
    this.#candidacy = { kind: 'following' };
    this.#handlers?.onDeposed();
    this.#lookLater(0);
  }
}
