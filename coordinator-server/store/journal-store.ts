/**
 * The park in this process's memory, with a journal: what is answered is on the disk, and a restart finds it again.
 *
 * J1: a change is decided and put in force in memory at once, recorded in the same turn, and answered when its record is
 *     durable (`async` domains: at once). Many callers share one flush.
 * J2: what a read, a watch or a refusal tells was durable when it was told: of a domain with changes under way it is
 *     told when they are durable (Y1 of park-store.ts).
 * J3: when the journal takes changes back (no space), memory takes them back too, in reverse order; their callers are
 *     refused: nothing was done. Reads go on; writes are refused until there is room.
 * J4: a start begins REVISION_JUMP above the last recorded revision, and records that before it serves: no revision that
 *     was handed out and lost (of `async` domains) ever comes again.
 */
import assert from 'node:assert/strict';
import type { TimerHandle } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import {
  type DomainSummary,
  PARK_LIMITS,
  type ParkEvent,
  type ParkTransaction,
  type WriteOutcome,
} from '../../shared/park/park-model.ts';
import { Journal } from '../journal/journal.ts';
import { UNFLUSHED_RECORDS_MAX } from '../journal/journal-limits.ts';
import { requireName } from '../park/park-bounds.ts';
import { ParkExpiry } from '../park/park-expiry.ts';
import { type ContentChange, ParkHistory } from '../park/park-history.ts';
import { contentOf, domainsOf, pageOf } from '../park/park-reads.ts';
import { decide, touchedBy } from '../park/park-rules.ts';
import { ParkState, type StoredChange } from '../park/park-state.ts';
import { asyncMatcher, domainOf } from './async-domains.ts';
import { contentChanges } from './content-changes.ts';
import type { JournalStoreOptions } from './journal-store-options.ts';
import { decodeParkRecord, ParkRecordWriter, RECORD_KIND } from './park-record.ts';
import { ParkSnapshots } from './park-snapshots.ts';
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
import { type PendingChange, PendingChanges } from './pending-changes.ts';
import { requireListLimit, requireSession } from './store-requests.ts';
import { type Telling, WatchHub } from './watch-hub.ts';

/** J4. Above what a crash can take back: what waits for the disk, and a batch under way. */
export const REVISION_JUMP = 2 ** 24;
assert.ok(REVISION_JUMP > 2 * UNFLUSHED_RECORDS_MAX, 'more than can be lost at once');

/** Of `async` changes; further ones are answered when they are durable, so that who writes too fast waits for the disk. */
const ANSWERED_EARLY_MAX = 50_000;
const PROGRESS_EVERY_MS = 1_000;

export class JournalStore implements ParkStore {
  readonly #options: JournalStoreOptions;
  /** What a checkpointer follows. */
  readonly journal: Journal;
  readonly #state: ParkState;
  readonly #history: ParkHistory;
  readonly #hub = new WatchHub();
  readonly #records = new ParkRecordWriter();
  readonly #snapshots: ParkSnapshots;
  readonly #isAsync: (domain: string) => boolean;
  readonly #pending = new PendingChanges();
  readonly #expiry: ParkExpiry;
  /** Group domains with changes under way, and the last of them (J2). */
  readonly #underWay = new Map<string, number>();
  /** Revision of the last change that is durable. */
  #durableRevision: number;
  #isBaseRecorded = false;
  readonly #progress: TimerHandle;
  #closed = false;

  private constructor(options: JournalStoreOptions, journal: Journal, state: ParkState, history: ParkHistory) {
    this.#options = options;
    this.journal = journal;
    this.#state = state;
    this.#history = history;
    this.#durableRevision = state.revision;
    this.#isAsync = asyncMatcher(options.asyncDomains ?? []);
    this.#snapshots = new ParkSnapshots({ ...options, journal, state });
    journal.onDurable = (sequence) => this.#onDurable(sequence);
    journal.onRefused = (sequence, reason) => this.#onRefused(sequence, reason);
    const { clock } = options;
    this.#progress = clock.every(PROGRESS_EVERY_MS, () => this.#hub.progress(this.#durableRevision));
    this.#expiry = new ParkExpiry({
      state,
      clock,
      takesChanges: () => journal.failure === '' && !this.#closed,
      commit: async (changes) => await this.#commit(changes),
    });
  }

  /** @throws PlatformError JOURNAL_CORRUPT; USAGE when another process has the folder */
  static async open(options: JournalStoreOptions): Promise<JournalStore> {
    const { folder, clock, log, random, flushEveryMs } = options;
    const state = new ParkState();
    const history = new ParkHistory();
    let endRevision = 0;
    const onRecord = (payload: Buffer): void => {
      const record = decodeParkRecord(payload);
      if (record.kind === RECORD_KIND.snapshotEnd) {
        endRevision = record.endRevision;
        history.compact(endRevision);
      }
      const undo = state.load(record.changes, record.revision, clock.nowMs());
      if (record.kind !== RECORD_KIND.transaction || record.revision <= endRevision) return;
      const told = contentChanges(record.changes, undo, record.revision);
      if (told === undefined) history.compact(record.revision);
      for (const change of told ?? []) history.add(change);
    };
    const more = {
      ...(flushEveryMs === undefined ? {} : { flushEveryMs }),
      ...(options.files === undefined ? {} : { files: options.files }),
      ...(options.onFatal === undefined ? {} : { onFatal: options.onFatal }),
    };
    const journal = await Journal.open({ folder, clock, log, random, onRecord, ...more });
    state.afterLoad(endRevision);
    for (const id of state.sessionIds()) state.renew(id, clock.nowMs());
    state.revision += REVISION_JUMP; // J4, Y3
    const store = new JournalStore(options, journal, state, history);
    await store.#recordBase().catch((thrown: unknown) => {
      log.error({ err: thrown }, 'the park takes no writes yet');
    });
    return store;
  }

  /** Raised when a checkpointer is promoted. */
  get term(): number {
    return this.journal.epoch;
  }

  write(writer: Writer, transaction: ParkTransaction): Promise<WriteOutcome> {
    try {
      const { changes, outcome } = decide(this.#state, writer, transaction);
      this.#state.requireRoom(changes);
      return this.#commit(changes, outcome);
    } catch (thrown) {
      return this.#refuse(writer, transaction, thrown);
    }
  }

  get(domain: string, node: string): Promise<NodeRead> {
    return this.#read(domain, () => {
      const record = this.#state.node(domain, node);
      return { revision: this.#state.revision, node: record === undefined ? undefined : this.#state.view(record) };
    });
  }

  list(domain: string, after: string, limit: number): Promise<DomainRead> {
    return this.#read(domain, () => ({
      revision: this.#state.revision,
      ...pageOf(this.#state, domain, after, requireListLimit(limit)),
    }));
  }

  domainRevision(domain: string): Promise<number> {
    return this.#read(domain, () => this.#state.domainRevision(domain));
  }

  domains(prefix: string, after: string): Promise<readonly DomainSummary[]> {
    return this.#read(undefined, () => domainsOf(this.#state, prefix, after));
  }

  async openSession(name: string, ttlMs: number): Promise<SessionGrant> {
    requireSession(name, ttlMs);
    if (this.#state.sessions >= PARK_LIMITS.sessionsMax) {
      const detail = `expected at most ${PARK_LIMITS.sessionsMax} sessions, there are so many: one a process is enough`;
      throw new PlatformError('PARK_LIMIT', detail);
    }
    const id = this.#options.random.bytes(16).toString('hex');
    await this.#commit([{ kind: 'session', id, name, ttlMs }]);
    return { id, ttlMs };
  }

  async renewSession(id: string): Promise<number> {
    if (!this.#state.renew(id, this.#options.clock.nowMs()))
      throw new PlatformError(
        'PARK_SESSION_UNKNOWN',
        'expected a session that lives, this one has ended: open a new one',
      );
    return this.#state.session(id)?.ttlMs ?? 0;
  }

  endSession(id: string): Promise<void> {
    return this.#expiry.endSession(id);
  }

  watch(request: WatchRequest, sink: WatchSink): WatchHandle {
    requireName('domain', request.domain);
    if (request.node !== '') requireName('node', request.node);
    this.#hub.requireRoom();
    const { afterRevision } = request;
    if (afterRevision > this.#state.revision) {
      const detail = `expected a revision of at most ${this.#state.revision}, got ${afterRevision}: this coordinator is behind; ask another one, or again`;
      throw new PlatformError('STORE_UNAVAILABLE', detail);
    }
    if (afterRevision === 0 || afterRevision < this.#history.compactedRevision)
      return this.#watchFromContent(request, sink);
    const events: ParkEvent[] = [];
    for (const change of this.#history.after(afterRevision, request.domain))
      if (request.node === '' || request.node === change.node) events.push(this.#event(change));
    const upTo = Math.max(afterRevision, this.#durableRevision);
    const handle = this.#hub.add(request, sink, upTo);
    if (events.length > 0 || upTo > afterRevision) sink.onEvents(events, upTo);
    return handle;
  }

  status(): StoreStatus {
    const journal = this.journal;
    return {
      kind: 'journal',
      revision: this.#state.revision,
      nodes: this.#state.nodes,
      sessions: this.#state.sessions,
      watches: this.#hub.size,
      writeFailure: journal.failure,
      details: {
        term: journal.epoch,
        bytes: this.#state.bytes,
        lastSequence: journal.lastSequence,
        durableSequence: journal.durableSequence,
        recovery: journal.recovery,
        snapshots: this.#snapshots.status(),
      },
    };
  }

  /** A checkpointer makes the snapshots. */
  pauseSnapshots(isPaused: boolean): void {
    this.#snapshots.pause(isPaused);
  }

  /** Makes a snapshot now. @returns records in it */
  snapshot(): Promise<number> {
    return this.#snapshots.make();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#progress.cancel();
    this.#expiry.close();
    await this.#snapshots.close();
    await this.journal.close();
    this.#hub.endAll(
      new PlatformError('STORE_UNAVAILABLE', 'this coordinator stops: go on with another one, or again'),
    );
  }

  /** J1. Changes that have been decided. */
  #commit(changes: readonly StoredChange[], decided?: WriteOutcome): Promise<WriteOutcome> {
    if (!this.#isBaseRecorded) this.#appendBase();
    const revision = this.#state.revision + 1;
    const group = !changes.every((change) => this.#isAsync(domainOf(change)));
    const record = this.#records.encode(RECORD_KIND.transaction, revision, 0, changes);
    const sequence = this.journal.append(record, group ? 'group' : 'async');
    const undo = this.#state.apply(changes, this.#options.clock.nowMs());
    const outcome = decided ?? { revision, results: [] };
    this.#snapshots.appended(record.length);
    if (group) for (const change of changes) this.#underWay.set(domainOf(change), sequence);
    if (!group && this.#pending.size < ANSWERED_EARLY_MAX) {
      this.#pending.add({ sequence, revision, changes, undo, outcome, resolve: ignore, reject: ignore });
      return Promise.resolve(outcome);
    }
    return new Promise((resolve, reject) => {
      this.#pending.add({ sequence, revision, changes, undo, outcome, resolve, reject });
    });
  }

  /** J2 */
  async #refuse(writer: Writer, transaction: ParkTransaction, thrown: unknown): Promise<WriteOutcome> {
    const { domains, nodes } = touchedBy(transaction);
    const sequences = [...domains, ...nodes.map(({ domain }) => domain)].map((name) => this.#underWay.get(name) ?? 0);
    try {
      await this.#whenDurable(Math.max(0, ...sequences));
    } catch {
      return await this.write(writer, transaction); // J3: what it was refused for is not so
    }
    throw thrown;
  }

  /** J4 */
  async #recordBase(): Promise<void> {
    this.#appendBase();
    await this.#whenDurable(this.journal.lastSequence);
  }

  #appendBase(): void {
    this.journal.append(this.#records.encode(RECORD_KIND.transaction, this.#state.revision, 0, []), 'group');
    this.#isBaseRecorded = true;
  }

  #onDurable(sequence: number): void {
    const durable = this.#pending.takeDurable(sequence);
    const told = durable.flatMap((change) => this.#toTell(change));
    for (const [domain, last] of this.#underWay) if (last <= sequence) this.#underWay.delete(domain);
    for (const { resolve } of this.#pending.takeWaiting(sequence)) resolve(); // before anything later is told
    this.#hub.tell(told, this.#durableRevision);
    for (const { outcome, resolve } of durable) resolve(outcome);
  }

  /** @returns what of a change that is durable now somebody is to hear */
  #toTell({ changes, undo, revision }: PendingChange): Telling[] {
    this.#durableRevision = revision;
    const seen = contentChanges(changes, undo, revision);
    if (seen === undefined) this.#onTooMuch(revision);
    const told: Telling[] = [];
    for (const change of seen ?? []) {
      this.#history.add(change);
      if (this.#hub.watches(change.domain)) told.push({ ...change, event: () => this.#event(change) });
    }
    return told;
  }

  /** J3 */
  #onRefused(durableSequence: number, reason: string): void {
    this.#snapshots.abandon();
    const { changes, waiting } = this.#pending.takeBack(durableSequence);
    for (const { undo } of changes) this.#state.undo(undo);
    this.#underWay.clear();
    this.#isBaseRecorded = false; // it may be among them
    const error = new PlatformError('STORE_UNAVAILABLE', `Nothing was changed: ${reason}.`);
    for (const { reject } of changes) reject(error);
    for (const { reject } of waiting) reject(error);
    this.#options.log.error({ takenBack: changes.length, reason }, 'changes of the park taken back');
  }

  /** J2, Y2: memory holds every write that was answered. @param domain undefined: of all of them */
  async #read<T>(domain: string | undefined, read: () => T): Promise<T> {
    for (;;) {
      const answer = read();
      const sequence = domain === undefined ? this.journal.lastSequence : this.#underWay.get(domain);
      if (sequence === undefined || sequence <= this.journal.durableSequence) return answer;
      try {
        await this.#whenDurable(sequence);
        return answer;
      } catch {
        // J3: what was read is not so; what is there now is.
      }
    }
  }

  #whenDurable(sequence: number): Promise<void> {
    if (sequence <= this.journal.durableSequence) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#pending.wait({ sequence, resolve, reject });
    });
  }

  #watchFromContent(request: WatchRequest, sink: WatchSink): WatchHandle {
    const nodes = contentOf(this.#state, request.domain, request.node);
    const { revision } = this.#state;
    const handle = this.#hub.add(request, sink, revision);
    let isOpen = true;
    const tell = (): void => {
      if (isOpen) sink.onEvents([{ kind: 'content', revision, nodes }], revision);
    };
    const end = (reason: Error): void => {
      if (!isOpen) return;
      close();
      sink.onEnd(reason);
    };
    const close = (): void => {
      isOpen = false;
      handle.close();
    };
    const sequence = this.journal.lastSequence;
    if (sequence <= this.journal.durableSequence) queueMicrotask(tell);
    else this.#pending.wait({ sequence, resolve: tell, reject: end });
    return { close };
  }

  #event({ revision, domain, node, record }: ContentChange): ParkEvent {
    if (record === undefined) return { kind: 'removed', revision, domain, node };
    return { kind: 'put', revision, node: this.#state.view(record) };
  }

  /** A domain too large to tell node by node went as a whole: watchers begin anew, with what is there. */
  #onTooMuch(revision: number): void {
    this.#history.compact(revision);
    this.#hub.endAll(
      new PlatformError('PARK_WATCH_BEHIND', 'too much was deleted at once: begin again with what is there'),
    );
  }
}

function ignore(): void {}
