/**
 * What a server says of itself in every renewal of its lease, and what the coordinator makes of it: whether a server
 * that was taken out is idle by now, and one that was put back is at work.
 *
 * | field       | meaning                                                                                       |
 * |-------------|-----------------------------------------------------------------------------------------------|
 * | epoch       | of the published state it acts on                                                             |
 * | ready       | whether it could serve every request                                                          |
 * | inFlight    | requests it has taken and not yet answered                                                    |
 * | connections | open connections of clients; interface servers only                                           |
 * | peers       | of those it sends requests to, the ones that get none: state, and requests not yet answered   |
 */
import { z } from 'zod';
import type { PeerStatus } from './balance/peer-pool.ts';
import { checkSchema } from './schema-check.ts';

/** Peers named in one report: it must fit LOAD_REPORT_CHARS_MAX. Those taken out come first. */
export const PEERS_REPORTED_MAX = 150;

const countSchema = z.int().min(0);

const memberLoadSchema = z.object({
  epoch: countSchema,
  ready: z.boolean(),
  inFlight: countSchema,
  connections: countSchema.optional(),
  peers: z.record(z.string(), z.object({ state: z.string(), inFlight: countSchema })),
});

export type MemberLoad = z.infer<typeof memberLoadSchema>;

/** @returns undefined when the report is none, e.g. before the first renewal */
export function readMemberLoad(load: unknown): MemberLoad | undefined {
  const parsed = checkSchema(memberLoadSchema, load);
  return parsed?.success === true ? parsed.data : undefined;
}

/** Of a report: the peers that get no requests now. */
export function peersWithoutRequests(peers: readonly PeerStatus[]): MemberLoad['peers'] {
  const isTakenOut = ({ state }: PeerStatus): number => (state === 'drain' || state === 'maint' ? 0 : 1);
  const without = peers.filter(({ state }) => state !== 'ready').sort((a, b) => isTakenOut(a) - isTakenOut(b));
  return Object.fromEntries(
    without.slice(0, PEERS_REPORTED_MAX).map(({ id, state, inFlight }) => [id, { state, inFlight }]),
  );
}
