/** What is read of the park in memory: pages, listings, what a watch begins with. Pure, and bounded in what it returns. */
import { PlatformError } from '../../shared/errors.ts';
import { type DomainSummary, PARK_LIMITS, type ParkNode } from '../../shared/park/park-model.ts';
import type { ParkState } from './park-state.ts';

/** Of one watch's beginning; a larger domain is listed page by page, then watched after the listing's revision. */
export const CONTENT_NODES_MAX = 10_000;
export const CONTENT_BYTES_MAX = 16 * 1024 * 1024;

export interface NodesPage {
  readonly nodes: readonly ParkNode[];
  /** Name to go on after; '' when this was the end. */
  readonly next: string;
}

/** @param limit nodes at most; it also ends at PARK_LIMITS.listBytesMax */
export function pageOf(state: ParkState, domain: string, after: string, limit: number): NodesPage {
  const nodes: ParkNode[] = [];
  let bytes = 0;
  for (let from = after; ; ) {
    const record = state.nextNode(domain, from);
    if (record === undefined) return { nodes, next: '' };
    bytes += record.value.length;
    if (nodes.length >= limit || (nodes.length > 0 && bytes > PARK_LIMITS.listBytesMax)) return { nodes, next: from };
    nodes.push(state.view(record));
    from = record.node;
  }
}

/** @returns domains that begin with `prefix`, in the order of names */
export function domainsOf(state: ParkState, prefix: string, after: string): DomainSummary[] {
  const found: DomainSummary[] = [];
  if (after < prefix && state.domain(prefix) !== undefined) found.push(summaryOf(state, prefix));
  for (let from = after > prefix ? after : prefix; found.length < PARK_LIMITS.listNodesMax; ) {
    const next = state.nextDomain(from);
    if (next === undefined || !next.record.domain.startsWith(prefix)) break;
    from = next.record.domain;
    found.push(summaryOf(state, from));
  }
  return found;
}

/** @param node '' for the whole domain @throws PlatformError PARK_LIMIT when the domain is too large for one telling */
export function contentOf(state: ParkState, domain: string, node: string): ParkNode[] {
  if (node !== '') {
    const record = state.node(domain, node);
    return record === undefined ? [] : [state.view(record)];
  }
  const nodes: ParkNode[] = [];
  let bytes = 0;
  for (let found = state.nextNode(domain, ''); found !== undefined; found = state.nextNode(domain, found.node)) {
    bytes += found.value.length;
    if (nodes.length >= CONTENT_NODES_MAX || bytes > CONTENT_BYTES_MAX) {
      const detail = `expected a domain of at most ${CONTENT_NODES_MAX} nodes and ${CONTENT_BYTES_MAX} bytes to begin a watch with, ${domain} has more: list it page by page, then watch after the first page's revision`;
      throw new PlatformError('PARK_LIMIT', detail);
    }
    nodes.push(state.view(found));
  }
  return nodes;
}

function summaryOf(state: ParkState, domain: string): DomainSummary {
  const record = state.domain(domain);
  const owner = state.sessionName(record?.creator ?? '') ?? '';
  return { domain, nodes: state.nodesOf(domain), owner, deletable: record?.deletable ?? false };
}
