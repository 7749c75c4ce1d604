/** What the store needs from one kind of database, all replicas of the group together. */
import type { PlatformError } from '../shared/errors.ts';
import type { LoggedReply, NewLogEntry, ReplicaCondition, Row, SqlValue } from './replica.ts';

/** How a batch ended. */
export type CommitOutcome =
  | { readonly kind: 'committed' }
  /** Nothing of it exists anywhere, now or later. */
  | { readonly kind: 'rolled-back'; readonly error: PlatformError }
  /** It may or may not exist; recovery decides. Asking again with the same request id is safe. */
  | { readonly kind: 'unknown'; readonly error: PlatformError };

/** What a kept request adds to its log entry; the statements were recorded as they ran. */
export type KeptRequest = Omit<NewLogEntry, 'statements'>;

/**
 * One transaction on every replica, of several requests one after another:
 * `openRequest (query | execute)* (keepRequest | dropRequest)`, repeated, then `commit` or `rollback`.
 * Calls take effect in the order they are made, awaited or not.
 */
export interface OpenBatch {
  /** Requests of this batch that are done already, on every replica. */
  readonly found: readonly LoggedReply[];
  /** The databases ended the transaction: nothing of it can be kept. */
  readonly lost: boolean;
  openRequest(): void;
  query(sql: string, params: readonly SqlValue[]): Promise<Row[]>;
  execute(sql: string, params: readonly SqlValue[]): Promise<number>;
  keepRequest(kept: KeptRequest): void;
  dropRequest(): void;
  commit(): Promise<CommitOutcome>;
  rollback(): Promise<void>;
}

export interface StoreEngine {
  /** Batches that may be open at once. */
  readonly laneCount: number;
  read(replica: number, sql: string, params: readonly SqlValue[], timeoutMs: number): Promise<Row[]>;
  beginBatch(requestIds: readonly string[], waitMs: number): Promise<OpenBatch>;
  /** Recovers what a crash left, trims the log, reports conditions. Cheap when there is nothing to do. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** How an engine tells the store what it found out. */
export interface EngineEvents {
  onConditions(conditions: readonly ReplicaCondition[]): void;
  onLog(level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Points of a commit at which tests stop or kill; see StoreHooks. */
export const COMMIT_STEPS = [
  'leaderBegun',
  'followersBegun',
  'leaderLogged',
  'followersPrepared',
  'leaderCommitted',
  'followerCommitted',
  'allCommitted',
] as const;
export type CommitStep = (typeof COMMIT_STEPS)[number];

/** For tests: called at each step, with everything standing still until it returns. */
export type StoreHooks = { readonly [Step in CommitStep]?: () => void };
