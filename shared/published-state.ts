/**
 * What the coordinator publishes and every other server acts on: one immutable value, replaced as a whole.
 *
 * P1: `epoch` only grows; a server ignores a state whose epoch is not above the one it has.
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

export interface PublishedState {
  readonly epoch: number;
  readonly config: ClusterConfig;
  readonly bucketMap: BucketMap;
  readonly routes: readonly RouteEntry[];
}
