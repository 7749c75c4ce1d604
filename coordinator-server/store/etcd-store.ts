/**
 * The park in etcd: for those who outgrow one machine. Coordinators keep nothing of their own; several serve the same
 * park, each from its mirror of it (etcd-mirror.ts).
 *
 * S1: a transaction is decided on the mirror and carried out by etcd only if nothing it looked at has changed since;
 *     else it is decided again, on what there is then.
 * S2: a refusal is decided on what etcd holds at that time, never on an old mirror.
 * S3: reads see everything that was answered before they began: the mirror is made sure of first.
 * S4: what the platform writes, only the leading coordinator can: its leadership's key is compared, too.
 * S5: a watch begins with whatever this coordinator has answered: a write is answered when its mirror has it, unless etcd
 *     is not followed at that time. Of another coordinator's writes it may hear a moment later.
 */
import type { Clock, TimerHandle } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import {
  type DomainSummary,
  PARK_LIMITS,
  type ParkEvent,
  type ParkTransaction,
  type WriteOutcome,
} from '../../shared/park/park-model.ts';
import type { Random } from '../../shared/random.ts';
import { requireName } from '../park/park-bounds.ts';
import { contentOf, domainsOf, pageOf } from '../park/park-reads.ts';
import { type Decision, decide, touchedBy } from '../park/park-rules.ts';
import { type EtcdCompare, EtcdConnection, type EtcdOp, NO_LEASE } from './etcd-connection.ts';
import { EtcdMirror } from './etcd-mirror.ts';
import { domainText, EtcdKeys, leaseOf, nodeText, sessionText } from './etcd-records.ts';
import type {
  DomainRead,
  NodeRead,
  ParkStore,
  SessionGrant,
  StoreStatus,
  WatchHandle,
  WatchRequest,
  WatchSink,
  Writer,
} from './park-store.ts';
import { requireListLimit, requireSession } from './store-requests.ts';
import { WatchHub } from './watch-hub.ts';

/** Each try is one look at etcd; so many in a row fail only where hundreds write one node. */
const TRIES_MAX = 50;
/** What etcd takes in one transaction, by default. */
const COMPARES_MAX = 128;
const PROGRESS_EVERY_MS = 1_000;
const SWEEP_EVERY_MS = 5_000;
const REACHED_MS_MAX = 1_000;

export interface EtcdStoreOptions {
  readonly cluster: string;
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class EtcdStore implements ParkStore {
  readonly connection: EtcdConnection;
  readonly keys: EtcdKeys;
  /** modRevision of this coordinator's own leadership; 0: it does not lead (S4). */
  leadership: () => number = () => 0;
  /** Id of the coordinator that leads; '' when none does. */
  leaderId = '';
  /** That has changed. */
  onLeader: (leaderId: string) => void = () => {};
  readonly #options: EtcdStoreOptions;
  readonly #hub = new WatchHub();
  readonly #mirror: EtcdMirror;
  readonly #timers: TimerHandle[] = [];

  private constructor(options: EtcdStoreOptions) {
    this.#options = options;
    const { clock, log } = options;
    this.connection = new EtcdConnection(options.endpoints, clock);
    this.keys = new EtcdKeys(options.cluster);
    this.#mirror = new EtcdMirror({
      connection: this.connection,
      keys: this.keys,
      hub: this.#hub,
      clock,
      log,
      onLeader: (leaderId) => {
        this.leaderId = leaderId;
        this.onLeader(leaderId);
      },
    });
  }

  /** @throws PlatformError STORE_UNAVAILABLE */
  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const store = new EtcdStore(options);
    try {
      await store.#mirror.start();
    } catch (thrown) {
      store.connection.close();
      throw thrown;
    }
    store.#timers.push(
      options.clock.every(PROGRESS_EVERY_MS, () => store.#hub.progress(store.#mirror.revision)),
      options.clock.every(SWEEP_EVERY_MS, () => void store.#sweep()),
    );
    return store;
  }

  async write(writer: Writer, transaction: ParkTransaction): Promise<WriteOutcome> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const decision = await this.#decide(writer, transaction);
      const { compare, ops, leases } = await this.#plan(writer, transaction, decision);
      const txn = await this.connection.txn(compare, ops);
      if (txn.succeeded) {
        await this.#mirror.reached(txn.revision, REACHED_MS_MAX); // S5
        return { revision: txn.revision, results: decision.outcome.results };
      }
      for (const lease of leases) void this.connection.revokeLease(lease).catch(() => undefined);
      if (writer.platform) this.#requireLeadership();
      await this.#mirror.reached(txn.revision, REACHED_MS_MAX);
      if (tries > 2) await this.#options.clock.sleep(this.#options.random.float() * Math.min(tries * 2, 20));
    }
    throw new PlatformError(
      'STORE_BUSY',
      `expected to write within ${TRIES_MAX} tries, others were always faster: try again`,
    );
  }

  get(domain: string, node: string): Promise<NodeRead> {
    return this.#read(() => {
      const record = this.#mirror.state.node(domain, node);
      return {
        revision: this.#mirror.revision,
        node: record === undefined ? undefined : this.#mirror.state.view(record),
      };
    });
  }

  async list(domain: string, after: string, limit: number): Promise<DomainRead> {
    requireListLimit(limit);
    return await this.#read(() => ({
      revision: this.#mirror.revision,
      ...pageOf(this.#mirror.state, domain, after, limit),
    }));
  }

  domainRevision(domain: string): Promise<number> {
    return this.#read(() => this.#mirror.state.domainRevision(domain));
  }

  domains(prefix: string, after: string): Promise<readonly DomainSummary[]> {
    return this.#read(() => domainsOf(this.#mirror.state, prefix, after));
  }

  async openSession(name: string, ttlMs: number): Promise<SessionGrant> {
    requireSession(name, ttlMs);
    if (this.#mirror.state.sessions >= PARK_LIMITS.sessionsMax)
      throw new PlatformError(
        'PARK_LIMIT',
        `expected at most ${PARK_LIMITS.sessionsMax} sessions, there are so many: one a process is enough`,
      );
    const id = this.#options.random.bytes(16).toString('hex');
    const lease = leaseOf(id);
    const grantedMs = await this.connection.grantLease(lease, ttlMs);
    const key = this.keys.session(id);
    const { revision } = await this.connection.txn(
      [],
      [{ kind: 'put', key, value: sessionText(name, grantedMs), lease }],
    );
    await this.#mirror.reached(revision, REACHED_MS_MAX);
    return { id, ttlMs: grantedMs };
  }

  async renewSession(id: string): Promise<number> {
    const ttlMs = /^[0-9a-f]{32}$/.test(id) ? await this.connection.renewLease(leaseOf(id)) : 0;
    if (ttlMs > 0) return ttlMs;
    throw new PlatformError(
      'PARK_SESSION_UNKNOWN',
      'expected a session that lives, this one has ended: open a new one',
    );
  }

  async endSession(id: string): Promise<void> {
    if (/^[0-9a-f]{32}$/.test(id)) await this.connection.revokeLease(leaseOf(id));
  }

  watch(request: WatchRequest, sink: WatchSink): WatchHandle {
    const { domain, node, afterRevision } = request;
    requireName('domain', domain);
    if (node !== '') requireName('node', node);
    this.#hub.requireRoom();
    const { state, history, revision } = this.#mirror;
    // Its mirror may be a moment behind another coordinator's: what comes until then is not told twice.
    if (afterRevision > revision) return this.#hub.add(request, sink, afterRevision);
    const events: ParkEvent[] = [];
    if (afterRevision === 0 || afterRevision < history.compactedRevision)
      events.push({ kind: 'content', revision, nodes: contentOf(state, domain, node) });
    else
      for (const change of history.after(afterRevision, domain))
        if (node === '' || node === change.node) events.push(this.#mirror.event(change));
    const handle = this.#hub.add(request, sink, revision);
    let isOpen = true;
    queueMicrotask(() => {
      if (isOpen) sink.onEvents(events, revision);
    });
    return {
      close: () => {
        isOpen = false;
        handle.close();
      },
    };
  }

  status(): StoreStatus {
    const { state, revision, failure } = this.#mirror;
    return {
      kind: 'etcd',
      revision,
      nodes: state.nodes,
      sessions: state.sessions,
      watches: this.#hub.size,
      writeFailure: failure,
      details: { endpoints: this.#options.endpoints, bytes: state.bytes },
    };
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#mirror.close();
    this.connection.close();
    this.#hub.endAll(
      new PlatformError('STORE_UNAVAILABLE', 'this coordinator stops: go on with another one, or again'),
    );
  }

  /** S2 */
  async #decide(writer: Writer, transaction: ParkTransaction): Promise<Decision> {
    const { state } = this.#mirror;
    try {
      const decision = decide(state, writer, transaction);
      state.requireRoom(decision.changes);
      return decision;
    } catch (thrown) {
      await this.#mirror.sync();
      const decision = decide(this.#mirror.state, writer, transaction);
      if (toPlatformError(thrown).code === 'PARK_LIMIT') throw thrown;
      return decision;
    }
  }

  /** S1 */
  async #plan(
    writer: Writer,
    transaction: ParkTransaction,
    { changes }: Decision,
  ): Promise<{ compare: EtcdCompare[]; ops: EtcdOp[]; leases: string[] }> {
    const { state } = this.#mirror;
    const { keys } = this;
    const { domains, nodes } = touchedBy(transaction);
    const compare = new Map<string, number>();
    for (const { domain, node } of nodes)
      compare.set(keys.node(domain, node), state.node(domain, node)?.modRevision ?? 0);
    for (const domain of domains) compare.set(keys.domain(domain), this.#mirror.domainKeyRevision(domain));
    if (writer.session !== '')
      compare.set(keys.session(writer.session), this.#mirror.sessionKeyRevision(writer.session));
    if (writer.platform) compare.set(keys.leader, this.#requireLeadership()); // S4
    const ops: EtcdOp[] = [];
    const leases: string[] = [];
    for (const change of changes) {
      if (change.kind === 'put') {
        const { record } = change;
        const key = keys.node(record.domain, record.node);
        if (!compare.has(key)) compare.set(key, 0); // a generated name
        const lease = await this.#leaseFor(record, leases);
        ops.push({ kind: 'put', key, value: nodeText(record), lease });
      } else if (change.kind === 'remove') ops.push({ kind: 'delete', key: keys.node(change.domain, change.node) });
      else if (change.kind === 'domain')
        ops.push({
          kind: 'put',
          key: keys.domain(change.record.domain),
          value: domainText(change.record),
          lease: NO_LEASE,
        });
      else {
        ops.push({ kind: 'delete', key: keys.nodesOf(change.domain), isRange: true });
        ops.push({ kind: 'delete', key: keys.domain(change.domain) });
      }
    }
    if (compare.size > COMPARES_MAX || ops.length > COMPARES_MAX)
      throw new PlatformError(
        'PARK_REQUEST_INVALID',
        `expected at most ${COMPARES_MAX} nodes and domains in a transaction with etcd, got ${compare.size}: split it`,
      );
    return { compare: [...compare].map(([key, modRevision]) => ({ key, modRevision })), ops, leases };
  }

  async #leaseFor(record: { ephemeral: boolean; ttlMs: number; creator: string }, leases: string[]): Promise<string> {
    if (record.ephemeral) return leaseOf(record.creator);
    if (record.ttlMs === 0) return NO_LEASE;
    const lease = leaseOf(this.#options.random.bytes(16).toString('hex'));
    await this.connection.grantLease(lease, record.ttlMs);
    leases.push(lease);
    return lease;
  }

  /** S4 @returns its modRevision */
  #requireLeadership(): number {
    const revision = this.leadership();
    if (revision > 0) return revision;
    throw new PlatformError('NOT_LEADER', 'expected the leading coordinator, this one does not lead any more');
  }

  /** S3 */
  async #read<T>(read: () => T): Promise<T> {
    await this.#mirror.sync();
    return read();
  }

  /** What domains without nodes left behind: the nodes went with their leases. */
  async #sweep(): Promise<void> {
    for (const domain of this.#mirror.domainsWithoutNodes().slice(0, 100)) {
      const key = this.keys.domain(domain);
      const compare = [
        { key, modRevision: this.#mirror.domainKeyRevision(domain) },
        { key: this.keys.nodesOf(domain), modRevision: 0, isRange: true },
      ];
      await this.connection.txn(compare, [{ kind: 'delete', key }]).catch(() => undefined); // the next round tries again
    }
  }
}
