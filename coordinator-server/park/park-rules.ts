/**
 * What a transaction does to the park, or why it may not: the one place of the park's rules, for every store. Pure: a
 * store shows what the transaction touches (ParkView), and puts the changes in force if that has not changed since.
 *
 * (to be written: helper "core")
 */
import type { Access, ParkTransaction, WriteOutcome } from '../../shared/park/park-model.ts';
import type { Writer } from '../store/park-store.ts';

/** A node as a store keeps it. */
export interface NodeRecord {
  readonly domain: string;
  readonly node: string;
  readonly value: string;
  readonly version: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly access: Access;
  readonly ephemeral: boolean;
  /** 0: none. */
  readonly ttlMs: number;
  /** Session that created it, '' when that has ended or there was none. */
  readonly creator: string;
}

/** A domain that has at least one node. */
export interface DomainRecord {
  readonly domain: string;
  readonly creator: string;
  readonly deletable: boolean;
  /** Number of the next generated name; begins at the revision of the domain's birth, so no name ever comes twice. */
  readonly nextName: number;
}

export interface ParkView {
  /** Before the transaction. */
  readonly revision: number;
  domain(domain: string): DomainRecord | undefined;
  node(domain: string, node: string): NodeRecord | undefined;
  /** How many nodes it has; 0 when there is no such domain. */
  nodesOf(domain: string): number;
  /** @returns the session's name; undefined when it does not live */
  sessionName(id: string): string | undefined;
}

export type ParkChange =
  | { readonly kind: 'put'; readonly record: NodeRecord; readonly contentChanged: boolean }
  | { readonly kind: 'remove'; readonly domain: string; readonly node: string }
  | { readonly kind: 'domain'; readonly record: DomainRecord }
  /** With all its nodes. */
  | { readonly kind: 'remove-domain'; readonly domain: string };

export interface Decision {
  readonly changes: readonly ParkChange[];
  readonly outcome: WriteOutcome;
}

/** @throws PlatformError PARK_* */
export declare function decide(view: ParkView, writer: Writer, transaction: ParkTransaction): Decision;
