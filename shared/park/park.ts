/**
 * The park as handlers, recipes and programs use it, whether over a link (shared/park/park-client.ts) or in the
 * coordinator's own process. Values are JSON: they are turned to text and back here.
 *
 * Every call throws PlatformError: PARK_* (errors.ts), or NO_COORDINATOR when none answered in time. A write whose
 * answer was lost throws OUTCOME_UNKNOWN: it may have happened.
 */
import type { Access, DomainSummary, ParkCheck } from './park-model.ts';

export interface ParkEntry<T = unknown> {
  readonly domain: string;
  readonly node: string;
  readonly value: T;
  readonly version: number;
  readonly createRevision: number;
  /** A fencing token for whoever holds the node: grows with every write of the park. */
  readonly modRevision: number;
  readonly access: Access;
  readonly ephemeral: boolean;
  /** Name of the creator's session; '' once that has ended. */
  readonly owner: string;
}

export interface Written {
  readonly node: string;
  readonly version: number;
  readonly revision: number;
}

export interface CreateOptions {
  /** What others may do. Default `all`. */
  readonly access?: Access | undefined;
  /** Goes with this client's session. */
  readonly ephemeral?: boolean | undefined;
  readonly ttlMs?: number | undefined;
}

export type ParkChange =
  | { readonly kind: 'put'; readonly revision: number; readonly entry: ParkEntry }
  | { readonly kind: 'removed'; readonly revision: number; readonly domain: string; readonly node: string }
  /** Where the watch begins, and after an absence longer than history is kept: all there is, as of `revision`. */
  | { readonly kind: 'content'; readonly revision: number; readonly entries: readonly ParkEntry[] };

export interface ParkWatch {
  /** Ends it; the listener is not called again. */
  close(): void;
}

export interface WatchOptions {
  /** Only this node of the domain. */
  readonly node?: string | undefined;
  /** Changes after this revision; absent: begins with what is there, as `content`. */
  readonly afterRevision?: number | undefined;
}

export type TransactionWrite =
  | ({
      readonly op: 'create';
      readonly domain: string;
      readonly node?: string;
      readonly value: unknown;
    } & CreateOptions)
  | {
      readonly op: 'put' | 'update';
      readonly domain: string;
      readonly node: string;
      readonly value: unknown;
      readonly ifVersion?: number;
    }
  | { readonly op: 'delete'; readonly domain: string; readonly node: string; readonly ifVersion?: number };

export interface Transaction {
  /** Version or revision 0: there must be no such node. */
  readonly checks?: readonly ParkCheck[];
  readonly writes: readonly TransactionWrite[];
}

/** This client's session: what its ephemeral nodes and creator's rights live by. */
export interface ParkSession {
  readonly name: string;
  /** While the clock's nowMs() is below this, the session surely lives (counted from when the renewal was sent). */
  readonly aliveUntilMs: number;
  /**
   * Called once when the session is known to have ended at the coordinator, or its time ran out here unrenewed: its
   * ephemeral nodes are gone or may be. A new session has another `id`.
   */
  onLost(listener: () => void): void;
}

export interface Park {
  /** @param node undefined: a generated, ordered name @throws PARK_NODE_EXISTS, PARK_RIGHTS_MISSING */
  create(domain: string, node: string | undefined, value: unknown, options?: CreateOptions): Promise<Written>;
  /** @throws PARK_NODE_UNKNOWN, PARK_VERSION_CONFLICT, PARK_RIGHTS_MISSING */
  update(
    domain: string,
    node: string,
    value: unknown,
    options?: { readonly ifVersion?: number | undefined },
  ): Promise<Written>;
  /** Creates it, or updates it. */
  put(
    domain: string,
    node: string,
    value: unknown,
    options?: { readonly ifVersion?: number | undefined } & CreateOptions,
  ): Promise<Written>;
  get(domain: string, node: string): Promise<ParkEntry | undefined>;
  /** @returns nodes in the order of their names; empty when there is no such domain */
  getDomain(domain: string): Promise<readonly ParkEntry[]>;
  /** @param seen modRevision the caller has @returns undefined when there is nothing newer, or no such node */
  getLatest(domain: string, node: string, seen: number): Promise<ParkEntry | undefined>;
  /** @param seen revision of what the caller has @returns undefined when nothing in it has changed since */
  getLatestDomain(
    domain: string,
    seen: number,
  ): Promise<{ readonly revision: number; readonly entries: readonly ParkEntry[] } | undefined>;
  domains(prefix?: string): Promise<readonly DomainSummary[]>;
  /** @throws PARK_NODE_UNKNOWN, PARK_VERSION_CONFLICT, PARK_RIGHTS_MISSING */
  delete(domain: string, node: string, options?: { readonly ifVersion?: number | undefined }): Promise<void>;
  /** @throws PARK_DOMAIN_UNKNOWN, PARK_RIGHTS_MISSING */
  deleteDomain(domain: string): Promise<void>;
  setDeletable(domain: string): Promise<void>;
  /** All of it, or nothing: one revision. */
  transact(transaction: Transaction): Promise<{ readonly revision: number; readonly nodes: readonly string[] }>;
  /**
   * Calls `listener` for each change of content, in order, from a revision on, until it returns false. Survives
   * reconnects without a gap and without telling anything twice.
   */
  watch(domain: string, listener: (change: ParkChange) => unknown, options?: WatchOptions): ParkWatch;
  /** Opens the session at first use. */
  session(): Promise<ParkSession>;
}
