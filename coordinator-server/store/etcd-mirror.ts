/**
 * The park as it is in etcd, in this coordinator's memory: read whole once, then followed by one watch. Reads, listings
 * and the watches of clients are served from here; nothing of it outlives the process.
 *
 * M1: what is here is the park as of `revision`, whole: changes of one revision are put in force together.
 * M2: after `sync()` it holds everything that was in etcd when sync was called.
 * M3: a connection that broke is opened again after the last revision put in force; when etcd no longer has what comes
 *     next, all is read anew, and watches begin anew with it.
 */
import type { Clock, TimerHandle } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { type ContentChange, ParkHistory } from '../park/park-history.ts';
import { ParkState, type StoredChange } from '../park/park-state.ts';
import { contentChanges } from './content-changes.ts';
import type { EtcdChange, EtcdConnection } from './etcd-connection.ts';
import { NO_LEASE } from './etcd-connection.ts';
import { type EtcdKeys, parkChangeOf } from './etcd-records.ts';
import type { Telling, WatchHub } from './watch-hub.ts';

const AGAIN_AFTER_MS = 200;
/** What was written by the park's own clients is on its way by itself; only then a barrier is written. */
const BARRIER_AFTER_MS = 20;
const SYNC_MS_MAX = 5_000;

export interface EtcdMirrorOptions {
  readonly connection: EtcdConnection;
  readonly keys: EtcdKeys;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly log: Logger;
  /** The leader's key has changed. @param value '' when it is gone */
  readonly onLeader: (value: string) => void;
}

export class EtcdMirror {
  readonly #options: EtcdMirrorOptions;
  #state = new ParkState();
  #history = new ParkHistory();
  /** modRevision of each domain's key, also of domains without nodes; bounded by what etcd holds. */
  readonly #domainKeys = new Map<string, number>();
  readonly #sessionKeys = new Map<string, number>();
  #revision = 0;
  #watch: { close(): void } | undefined;
  #again: TimerHandle | undefined;
  #failure = 'etcd was not read yet';
  #waiting: { readonly revision: number; resolve(): void }[] = [];
  #syncing: Promise<void> | undefined;
  #closed = false;

  constructor(options: EtcdMirrorOptions) {
    this.#options = options;
  }

  get state(): ParkState {
    return this.#state;
  }

  get history(): ParkHistory {
    return this.#history;
  }

  get revision(): number {
    return this.#revision;
  }

  /** '' while etcd is followed. */
  get failure(): string {
    return this.#failure;
  }

  /** 0: no such key. */
  domainKeyRevision(domain: string): number {
    return this.#domainKeys.get(domain) ?? 0;
  }

  sessionKeyRevision(id: string): number {
    return this.#sessionKeys.get(id) ?? 0;
  }

  /** Domains that have a key and no node. */
  domainsWithoutNodes(): string[] {
    return [...this.#domainKeys.keys()].filter((domain) => this.#state.nodesOf(domain) === 0);
  }

  /** Reads all, and follows. @throws PlatformError STORE_UNAVAILABLE */
  async start(): Promise<void> {
    await this.#load();
    this.#follow();
  }

  close(): void {
    this.#closed = true;
    this.#again?.cancel();
    this.#watch?.close();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** M2. Shared by all that ask at the same time. @throws PlatformError STORE_UNAVAILABLE */
  async sync(): Promise<void> {
    await this.#syncing?.catch(() => undefined); // it may have begun before the caller's time
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  /** Resolves when everything up to the revision is in force, or the time is over. */
  async reached(revision: number, waitMs: number): Promise<boolean> {
    if (this.#revision >= revision) return true;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(waitMs, resolve);
      const done = (): void => {
        timer.cancel();
        resolve();
      };
      this.#waiting.push({ revision, resolve: done });
    });
    this.#waiting = this.#waiting.filter((waiting) => waiting.revision > this.#revision);
    return this.#revision >= revision;
  }

  async #sync(): Promise<void> {
    const { connection, keys } = this.#options;
    const revision = await connection.revision(keys.barrier);
    if (await this.reached(revision, BARRIER_AFTER_MS)) return;
    const barrier = await connection.txn([], [{ kind: 'put', key: keys.barrier, value: '', lease: NO_LEASE }]);
    if (await this.reached(barrier.revision, SYNC_MS_MAX)) return;
    throw new PlatformError(
      'STORE_UNAVAILABLE',
      `expected word of revision ${barrier.revision} from etcd within ${SYNC_MS_MAX} ms, none came`,
    );
  }

  async #load(): Promise<void> {
    const { connection, keys, clock, onLeader } = this.#options;
    const state = new ParkState();
    const changes: StoredChange[] = [];
    this.#domainKeys.clear();
    this.#sessionKeys.clear();
    let leader = '';
    const revision = await connection.load(keys.prefix, (entry) => {
      const change = parkChangeOf(keys, { kind: 'put', entry }, () => undefined);
      if (change !== undefined) changes.push(change);
      this.#noteKey('put', entry.key, entry.modRevision);
      if (entry.key === keys.leader) leader = entry.value;
    });
    for (const change of inOrder(changes)) state.load([change], 0, clock.nowMs());
    state.afterLoad(revision);
    state.revision = revision;
    this.#state = state;
    this.#history = new ParkHistory();
    this.#history.compact(revision);
    this.#revision = revision;
    onLeader(leader);
    this.#settle();
  }

  #follow(): void {
    const { connection, keys } = this.#options;
    this.#failure = '';
    this.#watch = connection.watch(keys.prefix, this.#revision, {
      onChanges: (changes) => this.#onChanges(changes),
      onEnd: (reason) => this.#onEnd(reason),
    });
  }

  /** M3 */
  #onEnd(reason: Error): void {
    if (this.#closed) return;
    this.#failure = `etcd is not followed: ${reason.message}`;
    this.#options.log.warn({ reason: reason.message }, 'the watch on etcd ended; it begins again');
    this.#again = this.#options.clock.after(AGAIN_AFTER_MS, () => {
      if (!/compacted/i.test(reason.message)) return this.#follow();
      this.#load()
        .then(() => {
          this.#options.hub.endAll(
            new PlatformError('PARK_WATCH_BEHIND', 'changes were missed: begin again with what is there'),
          );
          this.#follow();
        })
        .catch((thrown: unknown) => this.#onEnd(toPlatformError(thrown)));
    });
  }

  #onChanges(changes: readonly EtcdChange[]): void {
    let from = 0;
    while (from < changes.length) {
      const revision = changes[from]?.entry.modRevision ?? 0;
      let to = from;
      while (to < changes.length && changes[to]?.entry.modRevision === revision) to++;
      if (revision > this.#revision) this.#apply(changes.slice(from, to), revision);
      from = to;
    }
  }

  /** M1 */
  #apply(changes: readonly EtcdChange[], revision: number): void {
    const { keys, clock, hub, onLeader, log } = this.#options;
    const stored: StoredChange[] = [];
    for (const change of changes) {
      this.#noteKey(change.kind, change.entry.key, revision);
      if (change.entry.key === keys.leader) onLeader(change.kind === 'put' ? change.entry.value : '');
      try {
        const one = parkChangeOf(keys, change, (domain, node) => this.#state.node(domain, node));
        if (one !== undefined) stored.push(one);
      } catch (thrown) {
        log.error({ reason: toPlatformError(thrown).detail }, 'a key of etcd is left out');
      }
    }
    const undo = this.#state.load(inOrder(stored), revision, clock.nowMs());
    this.#revision = revision;
    const told: Telling[] = [];
    const seen = contentChanges(stored, undo, revision) ?? [];
    for (const change of seen) {
      this.#history.add(change);
      told.push({ ...change, event: () => this.event(change) });
    }
    hub.tell(told, revision);
    this.#settle();
  }

  event({ revision, domain, node, record }: ContentChange) {
    if (record === undefined) return { kind: 'removed', revision, domain, node } as const;
    return { kind: 'put', revision, node: this.#state.view(record) } as const;
  }

  #noteKey(kind: 'put' | 'delete', key: string, modRevision: number): void {
    const [type, name = ''] = key.slice(this.#options.keys.prefix.length).split('/');
    const noted = { d: this.#domainKeys, s: this.#sessionKeys }[type ?? ''];
    if (kind === 'put') noted?.set(name, modRevision);
    else noted?.delete(name);
  }

  #settle(): void {
    const ready = this.#waiting.filter(({ revision }) => revision <= this.#revision);
    this.#waiting = this.#waiting.filter(({ revision }) => revision > this.#revision);
    for (const { resolve } of ready) resolve();
  }
}

/** Sessions and domains before the nodes in them; ends of sessions after their nodes. */
function inOrder(changes: readonly StoredChange[]): StoredChange[] {
  const RANK = { session: 0, domain: 1, put: 2, remove: 2, 'remove-domain': 2, 'session-ended': 3 } as const;
  return changes.toSorted((a, b) => RANK[a.kind] - RANK[b.kind]);
}
