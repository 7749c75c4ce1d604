/**
 * What a coordinator does with each request of a client of the park, whichever way it came. Writes and watches are seen
 * to by who keeps the connection; everything else is here.
 */
import { PARK_LIMITS, type ParkNode } from '../../shared/park/park-model.ts';
import type { ParkRequest } from '../../shared/park/park-protocol.ts';
import type { ParkStore } from '../store/park-store.ts';
import { requireName } from './park-bounds.ts';

/** What one connection's requests are about. */
export type SimpleRequest = Exclude<ParkRequest, { readonly op: 'write' | 'watch' | 'unwatch' }>;

/** What requests of one connection have in common. */
export interface ParkConnection {
  /** Id of the session whose writes these are; '' for none. */
  session: string;
}

/**
 * UTF-16 units of values in one answer or notice, unless one value alone is longer. JSON escapes make at most 6 bytes of
 * one, so with a thousand names it stays under what every link takes (4 MiB).
 */
export const PART_CHARS_MAX = 512 * 1024;
export const PART_NODES_MAX = 1_000;

/** @returns JSON of the answer @throws PlatformError PARK_* */
export async function carryOut(store: ParkStore, connection: ParkConnection, request: SimpleRequest): Promise<unknown> {
  switch (request.op) {
    case 'get':
      return await get(store, request);
    case 'list':
      return await list(store, request);
    case 'domains':
      return { domains: await store.domains(request.prefix, request.after) };
    case 'open-session': {
      const { id, ttlMs } = await store.openSession(request.name, request.ttlMs);
      connection.session = id;
      return { id, ttlMs };
    }
    case 'renew-session':
      connection.session = request.id; // at once: writes come right behind it
      return { ttlMs: await store.renewSession(request.id) };
    case 'end-session':
      if (connection.session === request.id) connection.session = '';
      await store.endSession(request.id);
      return {};
  }
}

async function get(store: ParkStore, { domain, node, seen }: SimpleRequest & { op: 'get' }): Promise<unknown> {
  requireName('domain', domain);
  requireName('node', node);
  const read = await store.get(domain, node);
  if (read.node === undefined || read.node.modRevision <= seen) return { revision: read.revision };
  return read;
}

async function list(store: ParkStore, request: SimpleRequest & { op: 'list' }): Promise<unknown> {
  const { domain, after, seen } = request;
  requireName('domain', domain);
  if (seen > 0 && after === '') {
    const changed = await store.domainRevision(domain);
    if (changed > 0 && changed <= seen) return { revision: changed, nodes: [], next: '', unchanged: true };
  }
  const { revision, nodes, next } = await store.list(domain, after, PARK_LIMITS.listNodesMax);
  const count = partOf(nodes, 0);
  if (count >= nodes.length) return { revision, nodes, next };
  return { revision, nodes: nodes.slice(0, count), next: nodes[count - 1]?.node ?? '' };
}

/** @returns how many nodes from `from` on go into one answer or notice; at least one, if there is one */
export function partOf(nodes: readonly ParkNode[], from: number): number {
  let chars = 0;
  let count = 0;
  for (let at = from; at < nodes.length && count < PART_NODES_MAX; at++) {
    chars += (nodes[at] as ParkNode).value.length;
    if (count > 0 && chars > PART_CHARS_MAX) break;
    count++;
  }
  return count;
}
