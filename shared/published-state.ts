/**
 * What the coordinator publishes and every other server acts on: one immutable value, replaced as a whole.
 *
 * P1: `epoch` only grows; a server ignores a state whose epoch is not above the one it has, and any of an older term.
 * P2: `bucketMap.epoch` only grows, and grows with every change of an owner.
 */
import type { ClusterConfig } from './config/cluster-schema.ts';

/** One route as its service declares it; what the tiers in front of the app servers need to know of it. */
export interface RouteEntry {
  readonly service: string;
  /** Upper-case method, or `*` for any. */
  readonly method: string;
  /** e.g. `/accounts/:account/deposits`. */
  readonly pattern: string;
  /** Path parameter that is the account key, when the pattern has one; else null: the other sources decide. */
  readonly accountParam: string | null;
  /** Name of a queue class of the config. */
  readonly requestClass: string;
  /** Media types a request body may have; empty: any. A request without a body always passes. */
  readonly contentTypes: readonly string[];
}

export interface BucketMap {
  /** P2 */
  readonly epoch: number;
  readonly groupIds: readonly string[];
  /** Index into `groupIds` for every bucket: `owners[bucket]`. */
  readonly owners: readonly number[];
}

/**
 * How an operator has taken a server out. `drain`: it gets nothing new and finishes what it has. `maint`: its peers
 * drop it at once, and send what it had to others, as if it had died.
 */
export type TakenOut = 'drain' | 'maint';

/** By server id; a server that is not in it is in service. */
export type TakenOutServers = Readonly<Record<string, TakenOut>>;

export interface PublishedState {
  readonly epoch: number;
  /** Of the journal it was published from: raised when a checkpointer is promoted; 0 with etcd. Never goes back. */
  readonly term: number;
  readonly config: ClusterConfig;
  readonly bucketMap: BucketMap;
  readonly routes: readonly RouteEntry[];
  /** Stays until it is taken back: a restart of the server, or of all, changes nothing. */
  readonly takenOut: TakenOutServers;
}
