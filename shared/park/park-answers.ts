/**
 * A coordinator's answers to a client of the park, and the events of its watches, as they travel: writing and reading.
 *
 * A1: a client takes up only what has the shape it should have: LINK_FRAME_INVALID else.
 */
import { PlatformError } from '../errors.ts';
import type { DomainSummary, ParkEvent, ParkNode, WriteOutcome } from './park-model.ts';
import { type EventBatch, isCount, isRecord } from './park-protocol.ts';

/** To a write: of its nodes, in the order of the writes. */
export interface WriteAnswer {
  readonly revision: number;
  readonly nodes: readonly string[];
  readonly versions: readonly number[];
}

export interface GetAnswer {
  readonly revision: number;
  /** Absent: there is none, or none newer than what was seen. */
  readonly node?: ParkNode | undefined;
}

export interface ListAnswer {
  readonly revision: number;
  readonly nodes: readonly ParkNode[];
  /** Ask on after this name; '' at the end. */
  readonly next: string;
  /** The domain has not changed since what was seen. */
  readonly unchanged?: boolean | undefined;
}

/** Names need no escape in JSON (NAME_PATTERN), and this is written for every write. */
export function writeAnswerText({ revision, results }: WriteOutcome): string {
  const [first] = results;
  if (results.length === 1 && first !== undefined)
    return `{"revision":${revision},"nodes":["${first.node}"],"versions":[${first.version}]}`;
  const nodes = results.map((result) => result.node);
  return JSON.stringify({ revision, nodes, versions: results.map((result) => result.version) });
}

export function readWriteAnswer(value: unknown): WriteAnswer {
  if (isRecord(value)) {
    const { revision, nodes, versions } = value;
    const fits = isCount(revision) && isListOf(nodes, isText) && isListOf(versions, isCount);
    if (fits && nodes.length === versions.length) return value as unknown as WriteAnswer;
  }
  throw misshapen('the outcome of a write');
}

export function readGetAnswer(value: unknown): GetAnswer {
  if (isRecord(value) && isCount(value['revision']) && (value['node'] === undefined || isParkNode(value['node'])))
    return value as unknown as GetAnswer;
  throw misshapen('a node');
}

export function readListAnswer(value: unknown): ListAnswer {
  if (isRecord(value)) {
    const { revision, nodes, next, unchanged } = value;
    const fits = isCount(revision) && isListOf(nodes, isParkNode) && isText(next);
    if (fits && (unchanged === undefined || typeof unchanged === 'boolean')) return value as unknown as ListAnswer;
  }
  throw misshapen('nodes of a domain');
}

export function readDomainsAnswer(value: unknown): readonly DomainSummary[] {
  if (isRecord(value) && isListOf(value['domains'], isSummary)) return value['domains'];
  throw misshapen('domains');
}

export function readSessionAnswer(value: unknown): { readonly id: string; readonly ttlMs: number } {
  if (isRecord(value) && isText(value['id']) && /^[0-9a-f]{32}$/.test(value['id']) && isCount(value['ttlMs']))
    return { id: value['id'], ttlMs: value['ttlMs'] };
  throw misshapen('a session');
}

export function readRenewalAnswer(value: unknown): number {
  if (isRecord(value) && isCount(value['ttlMs'])) return value['ttlMs'];
  throw misshapen('the time granted to a session');
}

/** To what is answered with nothing but that it was done. */
export function readDone(value: unknown): void {
  if (!isRecord(value)) throw misshapen('an object');
}

export function readEventBatches(value: unknown): readonly EventBatch[] {
  if (isListOf(value, isBatch)) return value;
  throw misshapen('events of watches');
}

function isBatch(value: unknown): value is EventBatch {
  if (!isRecord(value)) return false;
  return isCount(value['watch']) && isCount(value['upTo']) && isListOf(value['events'], isEvent);
}

function isEvent(value: unknown): value is ParkEvent {
  if (!isRecord(value) || !isCount(value['revision'])) return false;
  switch (value['kind']) {
    case 'put':
      return isParkNode(value['node']);
    case 'removed':
      return isText(value['domain']) && isText(value['node']);
    case 'content':
      return isListOf(value['nodes'], isParkNode);
    default:
      return false;
  }
}

/** A1 */
function isParkNode(value: unknown): value is ParkNode {
  if (!isRecord(value)) return false;
  const { domain, node, value: json, version, createRevision, modRevision, access, ephemeral, owner } = value;
  return (
    isText(domain) &&
    isText(node) &&
    isText(json) &&
    isCount(version) &&
    isCount(createRevision) &&
    isCount(modRevision) &&
    (access === 'all' || access === 'read-write' || access === 'read') &&
    typeof ephemeral === 'boolean' &&
    isText(owner)
  );
}

function isSummary(value: unknown): value is DomainSummary {
  if (!isRecord(value)) return false;
  const { domain, nodes, owner, deletable } = value;
  return isText(domain) && isCount(nodes) && isText(owner) && typeof deletable === 'boolean';
}

function isListOf<T>(value: unknown, isOne: (one: unknown) => one is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isOne);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function misshapen(what: string): PlatformError {
  return new PlatformError('LINK_FRAME_INVALID', `expected ${what} from the coordinator, got something else`);
}
