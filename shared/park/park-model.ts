/**
 * What the park holds and what can be asked of it: the words that stores, links, HTTP and clients share.
 *
 * Two levels: a domain holds nodes, a node holds one value. Every write that changes something is one revision of the
 * whole park, however many nodes it changes; revisions only grow.
 */

/** What everybody but the creator may do; the creator may do everything while its session lives. `all`: also delete. */
export const ACCESS_RIGHTS = ['read', 'read-write', 'all'] as const;
export type Access = (typeof ACCESS_RIGHTS)[number];

export interface ParkNode {
  readonly domain: string;
  readonly node: string;
  /** JSON text, as its writer sent it; at most PARK_LIMITS.valueBytesMax bytes in UTF-8. */
  readonly value: string;
  /** 1 at creation, one more with every write, also one that writes the same value. */
  readonly version: number;
  readonly createRevision: number;
  /** Revision of the last write: the node's ETag, and a fencing token for whoever holds the node. */
  readonly modRevision: number;
  readonly access: Access;
  /** Goes with its creator's session. */
  readonly ephemeral: boolean;
  /** Name of the session that created it; '' once that has ended: then nobody is the creator. */
  readonly owner: string;
}

/** One write of a transaction. `ifVersion`: refused unless the node has this version; 0: unless there is no node. */
export type ParkWrite =
  | {
      readonly op: 'create';
      readonly domain: string;
      /** Absent: generated, and ordered: names sort in the order of creation. At most one such write a transaction. */
      readonly node?: string | undefined;
      readonly value: string;
      readonly access?: Access | undefined;
      /** Needs a session. Not together with ttlMs. */
      readonly ephemeral?: boolean | undefined;
      /** The node goes so long after its last write. Not together with ephemeral. */
      readonly ttlMs?: number | undefined;
    }
  | {
      readonly op: 'update';
      readonly domain: string;
      readonly node: string;
      readonly value: string;
      readonly ifVersion?: number | undefined;
    }
  /** Update, or create with access `all` (or as given) when there is no such node. */
  | {
      readonly op: 'put';
      readonly domain: string;
      readonly node: string;
      readonly value: string;
      readonly ifVersion?: number | undefined;
      readonly access?: Access | undefined;
      readonly ttlMs?: number | undefined;
    }
  | {
      readonly op: 'delete';
      readonly domain: string;
      readonly node: string;
      readonly ifVersion?: number | undefined;
    }
  /** With all its nodes. The domain's creator only, unless set deletable. */
  | { readonly op: 'delete-domain'; readonly domain: string }
  /** The domain's creator only: from now on everybody may delete the domain. */
  | { readonly op: 'set-deletable'; readonly domain: string };

/**
 * The transaction is refused unless the node has this version, or was last written in this revision; 0: unless there is
 * none. A version comes again when a node is deleted and created; a revision never does.
 */
export type ParkCheck = { readonly domain: string; readonly node: string } & (
  | { readonly version: number; readonly revision?: undefined }
  | { readonly revision: number; readonly version?: undefined }
);

/** All of it, or nothing. */
export interface ParkTransaction {
  readonly checks?: readonly ParkCheck[] | undefined;
  /** 1..PARK_LIMITS.writesMax; no node twice. */
  readonly writes: readonly ParkWrite[];
}

/** In the order of the writes. */
export interface WriteResult {
  readonly domain: string;
  /** '' for writes of a whole domain. */
  readonly node: string;
  /** 0 after a delete. */
  readonly version: number;
}

export interface WriteOutcome {
  /** Of this transaction. */
  readonly revision: number;
  readonly results: readonly WriteResult[];
}

export interface DomainSummary {
  readonly domain: string;
  readonly nodes: number;
  /** Name of the session that created it; '' once that has ended. */
  readonly owner: string;
  readonly deletable: boolean;
}

/**
 * What a watcher is told, in the order of revisions, nothing twice. Writes of the value that was there already are no
 * change of content and are not told.
 */
export type ParkEvent =
  | { readonly kind: 'put'; readonly revision: number; readonly node: ParkNode }
  | { readonly kind: 'removed'; readonly revision: number; readonly domain: string; readonly node: string }
  /**
   * Where a watch begins without a revision to go on from, or what came after that one is no longer kept: everything
   * the watch covers, as of `revision`. What the watcher knows of besides is gone.
   */
  | { readonly kind: 'content'; readonly revision: number; readonly nodes: readonly ParkNode[] };

export const PARK_LIMITS = {
  /** Characters of a domain's or node's name: see NAME_PATTERN. */
  nameCharsMax: 128,
  valueBytesMax: 1024 * 1024,
  /** Of one transaction. */
  writesMax: 64,
  checksMax: 64,
  /** Of all values of one transaction together. */
  transactionBytesMax: 2 * 1024 * 1024,
  /** Of one answer to a listing; the rest is asked for with `after`. */
  listNodesMax: 1_000,
  listBytesMax: 2 * 1024 * 1024,
  nodesMax: 4_000_000,
  /** Of all names and values; what a coordinator's memory must hold. */
  totalBytesMax: 2 * 1024 * 1024 * 1024,
  sessionsMax: 20_000,
  watchesMax: 20_000,
  /** Changes kept for watchers that come back; older ones are told as `content`. */
  historyEventsMax: 200_000,
  historyBytesMax: 64 * 1024 * 1024,
  sessionTtlMsMin: 200,
  sessionTtlMsMax: 600_000,
  nodeTtlMsMin: 100,
  nodeTtlMsMax: 30 * 24 * 3_600_000,
} as const;

/** Letters, digits, `.`, `_`, `-` and `:`; begins with a letter or digit. Sorted by code unit. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** Domains of the platform's own: only coordinators write them. */
export const PLATFORM_DOMAIN_PREFIX = 'trunkline.';
