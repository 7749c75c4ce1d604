/**
 * Where the park lives: in memory with a journal (JournalStore), or in etcd (EtcdStore). One conformance suite runs
 * against both (test/integration/coordinator/park-store-conformance).
 *
 * Y1: an answer, a read's and a watch's too, never tells what a crash of the coordinator could take back, except of
 *     domains that are `async`.
 * Y2: reads are linearizable: a read that begins after a write was answered sees it.
 * Y3: revisions never go back, also not over a crash that lost writes of `async` domains.
 *
 * All calls throw PlatformError PARK_*; STORE_UNAVAILABLE: nothing was done; OUTCOME_UNKNOWN: it may have been done.
 */
import type {
  DomainSummary,
  ParkEvent,
  ParkNode,
  ParkTransaction,
  WriteOutcome,
} from '../../shared/park/park-model.ts';

/** On whose behalf a write is done. */
export interface Writer {
  /** Id of a live session; '' for none: then nothing it creates has a creator. */
  readonly session: string;
  /** Holds the cluster token and asked for it: access rights are not looked at. */
  readonly force: boolean;
  /** The coordinator itself: may write the platform's own domains. */
  readonly platform: boolean;
}

/** Of what the coordinator itself keeps in the park. */
export const PLATFORM_WRITER: Writer = { session: '', force: true, platform: true };

export interface SessionGrant {
  /** Secret: whoever knows it acts as its holder. 32 hex digits. */
  readonly id: string;
  /** What the store really grants; etcd grants whole seconds. */
  readonly ttlMs: number;
}

export interface NodeRead {
  /** The park's, when this was read. */
  readonly revision: number;
  readonly node: ParkNode | undefined;
}

export interface DomainRead {
  readonly revision: number;
  /** In the order of names. */
  readonly nodes: readonly ParkNode[];
  /** Name to ask on with as `after`; '' when this was the end. */
  readonly next: string;
}

export interface WatchRequest {
  readonly domain: string;
  /** '' for the whole domain. */
  readonly node: string;
  /** Events after this revision; 0: begins with `content`. */
  readonly afterRevision: number;
}

export interface WatchSink {
  /**
   * Some events, in order; everything up to and with revision `upTo` has been told once this returns. Also called
   * without events, so that a quiet watch's revision keeps up with the history that is kept.
   */
  onEvents(events: readonly ParkEvent[], upTo: number): void;
  /** The watch has ended by itself; the watcher may begin again after the last `upTo`. */
  onEnd(reason: Error): void;
}

export interface WatchHandle {
  close(): void;
}

export interface StoreStatus {
  readonly kind: 'journal' | 'etcd';
  readonly revision: number;
  readonly nodes: number;
  readonly sessions: number;
  readonly watches: number;
  /** '' while writes are taken; else why they are not. */
  readonly writeFailure: string;
  /** What else an operator may want to see; numbers and strings. */
  readonly details: Readonly<Record<string, unknown>>;
}

export interface ParkStore {
  write(writer: Writer, transaction: ParkTransaction): Promise<WriteOutcome>;
  get(domain: string, node: string): Promise<NodeRead>;
  /** @param limit 1..PARK_LIMITS.listNodesMax; also ends at PARK_LIMITS.listBytesMax */
  list(domain: string, after: string, limit: number): Promise<DomainRead>;
  /** Revision of the domain's last change of any kind; 0 when there is no such domain. */
  domainRevision(domain: string): Promise<number>;
  /** @returns in the order of names, at most PARK_LIMITS.listNodesMax after `after` */
  domains(prefix: string, after: string): Promise<readonly DomainSummary[]>;
  /** @param name shown as the owner of what it creates */
  openSession(name: string, ttlMs: number): Promise<SessionGrant>;
  /** @returns the time granted from now; @throws PARK_SESSION_UNKNOWN when it has ended */
  renewSession(id: string): Promise<number>;
  /** Its ephemeral nodes go. No effect when it has ended already. */
  endSession(id: string): Promise<void>;
  /** @throws PARK_LIMIT when there are PARK_LIMITS.watchesMax */
  watch(request: WatchRequest, sink: WatchSink): WatchHandle;
  status(): StoreStatus;
  close(): Promise<void>;
}
