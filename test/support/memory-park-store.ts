/** A ParkStore in plain maps: the park's rules, sessions and watches, without a disk. For tests of what stands before a store. */
import { type DomainRecord, decide, type NodeRecord, type ParkView } from '../../coordinator-server/park/park-rules.ts';
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
} from '../../coordinator-server/store/park-store.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import type {
  DomainSummary,
  ParkEvent,
  ParkNode,
  ParkTransaction,
  WriteOutcome,
} from '../../shared/park/park-model.ts';
import { systemRandom } from '../../shared/random.ts';

interface Session {
  readonly name: string;
  readonly ttlMs: number;
  untilMs: number;
}

interface Watcher {
  readonly request: WatchRequest;
  readonly sink: WatchSink;
}

export class MemoryParkStore implements ParkStore {
  revision = 0;
  /** Changes of earlier revisions are no longer known to watches. */
  historyAfter = 0;
  /** Every call throws it, as a coordinator that does not serve would. */
  refusal: PlatformError | undefined;
  readonly sessions = new Map<string, Session>();
  readonly watchers = new Set<Watcher>();
  readonly #nodes = new Map<string, NodeRecord>();
  readonly #domains = new Map<string, DomainRecord>();
  readonly #history: ParkEvent[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Turns answers back until what it returns is called. */
  hold(): () => void {
    let letGo = (): void => {};
    this.#held = new Promise((resolve) => {
      letGo = resolve;
    });
    return letGo;
  }
  #held: Promise<void> = Promise.resolve();

  async write(writer: Writer, transaction: ParkTransaction): Promise<WriteOutcome> {
    this.#serve();
    const { changes, outcome } = decide(this.#view(), writer, transaction);
    this.revision = outcome.revision;
    const events: ParkEvent[] = [];
    for (const change of changes) {
      if (change.kind === 'domain') this.#domains.set(change.record.domain, change.record);
      else if (change.kind === 'remove') this.#remove(change.domain, change.node, events);
      else if (change.kind === 'remove-domain')
        for (const { node } of this.#nodesOf(change.domain)) this.#remove(change.domain, node, events);
      else {
        this.#nodes.set(`${change.record.domain}/${change.record.node}`, change.record);
        if (change.contentChanged)
          events.push({ kind: 'put', revision: this.revision, node: this.#shown(change.record) });
      }
    }
    this.#tell(events);
    await this.#held;
    return outcome;
  }

  async get(domain: string, node: string): Promise<NodeRead> {
    this.#serve();
    const record = this.#nodes.get(`${domain}/${node}`);
    const read = { revision: this.revision, node: record === undefined ? undefined : this.#shown(record) };
    await this.#held;
    return read;
  }

  async list(domain: string, after: string, limit: number): Promise<DomainRead> {
    this.#serve();
    const rest = this.#nodesOf(domain).filter(({ node }) => node > after);
    const nodes = rest.slice(0, limit).map((record) => this.#shown(record));
    return { revision: this.revision, nodes, next: rest.length > limit ? (nodes.at(-1)?.node ?? '') : '' };
  }

  async domainRevision(domain: string): Promise<number> {
    this.#serve();
    return Math.max(0, ...this.#nodesOf(domain).map(({ modRevision }) => modRevision));
  }

  async domains(prefix: string, after: string): Promise<readonly DomainSummary[]> {
    this.#serve();
    return [...this.#domains.values()]
      .filter(({ domain }) => domain.startsWith(prefix) && domain > after)
      .map(({ domain, creator, deletable }) => ({
        domain,
        nodes: this.#nodesOf(domain).length,
        owner: this.#nameOf(creator),
        deletable,
      }));
  }

  async openSession(name: string, ttlMs: number): Promise<SessionGrant> {
    this.#serve();
    const id = systemRandom.bytes(16).toString('hex');
    this.sessions.set(id, { name, ttlMs, untilMs: this.#clock.nowMs() + ttlMs });
    await this.#held;
    return { id, ttlMs };
  }

  async renewSession(id: string): Promise<number> {
    this.#serve();
    const session = this.sessions.get(id);
    if (session === undefined || session.untilMs <= this.#clock.nowMs()) {
      await this.endSession(id);
      throw new PlatformError('PARK_SESSION_UNKNOWN', 'expected a session that lives, this one has ended');
    }
    session.untilMs = this.#clock.nowMs() + session.ttlMs;
    return session.ttlMs;
  }

  async endSession(id: string): Promise<void> {
    this.#serve();
    this.sessions.delete(id);
    const gone = [...this.#nodes.values()].filter(({ ephemeral, creator }) => ephemeral && creator === id);
    if (gone.length === 0) return;
    this.revision++;
    const events: ParkEvent[] = [];
    for (const { domain, node } of gone) this.#remove(domain, node, events);
    this.#tell(events);
  }

  watch(request: WatchRequest, sink: WatchSink): WatchHandle {
    this.#serve();
    const watcher = { request, sink };
    this.watchers.add(watcher);
    const { afterRevision, domain, node } = request;
    if (afterRevision > 0 && afterRevision >= this.historyAfter)
      sink.onEvents(
        this.#history.filter((event) => event.revision > afterRevision && concerns(event, request)),
        this.revision,
      );
    else {
      const nodes = this.#nodesOf(domain).filter((record) => node === '' || record.node === node);
      const content = nodes.map((record) => this.#shown(record));
      sink.onEvents([{ kind: 'content', revision: this.revision, nodes: content }], this.revision);
    }
    return { close: () => void this.watchers.delete(watcher) };
  }

  /** Every watch ends, as those that are too slow do. */
  endWatches(reason: PlatformError): void {
    for (const watcher of [...this.watchers]) {
      this.watchers.delete(watcher);
      watcher.sink.onEnd(reason);
    }
  }

  status(): StoreStatus {
    const { revision } = this;
    const counts = { nodes: this.#nodes.size, sessions: this.sessions.size, watches: this.watchers.size };
    return { kind: 'journal', revision, ...counts, writeFailure: '', details: {} };
  }

  async close(): Promise<void> {}

  #serve(): void {
    if (this.refusal !== undefined) throw this.refusal;
  }

  #view(): ParkView {
    return {
      revision: this.revision,
      domain: (domain) => this.#domains.get(domain),
      node: (domain, node) => this.#nodes.get(`${domain}/${node}`),
      sessionName: (id) => this.sessions.get(id)?.name,
    };
  }

  #nodesOf(domain: string): NodeRecord[] {
    return [...this.#nodes.values()]
      .filter((record) => record.domain === domain)
      .sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  #remove(domain: string, node: string, events: ParkEvent[]): void {
    this.#nodes.delete(`${domain}/${node}`);
    if (this.#nodesOf(domain).length === 0) this.#domains.delete(domain);
    events.push({ kind: 'removed', revision: this.revision, domain, node });
  }

  #tell(events: readonly ParkEvent[]): void {
    for (const event of events) this.#history.push(event);
    for (const { request, sink } of [...this.watchers]) {
      sink.onEvents(
        events.filter((event) => concerns(event, request)),
        this.revision,
      );
    }
  }

  #nameOf(session: string): string {
    return this.sessions.get(session)?.name ?? '';
  }

  #shown({ ttlMs: _ttlMs, creator, ...record }: NodeRecord): ParkNode {
    return { ...record, owner: this.#nameOf(creator) };
  }
}

function concerns(event: ParkEvent, { domain, node }: WatchRequest): boolean {
  if (event.kind === 'content') return false;
  const of = event.kind === 'put' ? event.node : event;
  return of.domain === domain && (node === '' || of.node === node);
}
