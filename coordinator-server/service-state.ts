/**
 * Whether a server is in service, in words for an operator, and what it still takes until that is so everywhere. Pure.
 *
 * G1: a server that was taken out is settled when whoever sends requests to its tier acts on that and has none out to
 *     it, and it has none in hand itself. A sender that is away has lost its links, and with them its requests.
 * G2: a server that was put back is settled when it is alive and ready, and every sender gives it requests.
 */
import type { ClusterServer } from '../shared/cluster-servers.ts';
import { type MemberLoad, readMemberLoad } from '../shared/member-load.ts';
import type { TakenOut, TakenOutServers } from '../shared/published-state.ts';
import type { Tier } from '../shared/server-process.ts';
import type { Member } from './membership-state.ts';

export interface ServiceState {
  readonly state: 'ready' | TakenOut;
  /** Everybody acts on it, and nothing is left to wait for. */
  readonly settled: boolean;
  /** What is left, in words; empty when it is settled. */
  readonly waitingFor: readonly string[];
  /** Open connections of clients; interface servers only. */
  readonly connections?: number;
}

export interface ServiceFacts {
  /** Of the state that says so. */
  readonly epoch: number;
  readonly takenOut: TakenOutServers;
  readonly servers: readonly ClusterServer[];
  readonly member: (serverId: string) => Member | undefined;
}

/** Who sends requests to a tier. */
const SENDERS: Readonly<Partial<Record<Tier, Tier>>> = { app: 'dispatcher', dispatcher: 'interface' };

export function serviceState(server: ClusterServer, facts: ServiceFacts): ServiceState {
  const state = facts.takenOut[server.serverId] ?? 'ready';
  const waitingFor = state === 'ready' ? untilAtWork(server, facts) : untilIdle(server, facts);
  const connections = reportOf(server.serverId, facts)?.connections;
  const clients = connections === undefined ? {} : { connections };
  return { state, settled: waitingFor.length === 0, waitingFor, ...clients };
}

/** Servers that do the work of this one when it is taken out: of its tier and group, alive, in service. */
export function standIns(server: ClusterServer, facts: ServiceFacts): string[] {
  return facts.servers
    .filter(
      ({ serverId, tier, groupId }) =>
        tier === server.tier && groupId === server.groupId && serverId !== server.serverId,
    )
    .map(({ serverId }) => serverId)
    .filter((serverId) => facts.takenOut[serverId] === undefined && isAlive(serverId, facts));
}

/** G1 */
function untilIdle(server: ClusterServer, facts: ServiceFacts): string[] {
  const waitingFor: string[] = [];
  for (const { serverId, load } of senders(server, facts)) {
    const out = load?.peers[server.serverId]?.inFlight ?? 0;
    if (load === undefined || load.epoch < facts.epoch) waitingFor.push(`${serverId} has not said yet that it knows`);
    else if (out > 0) waitingFor.push(`${serverId} waits for ${requests(out)} it sent there`);
  }
  if (!isAlive(server.serverId, facts)) return waitingFor;
  const own = reportOf(server.serverId, facts);
  if (own === undefined || own.epoch < facts.epoch) waitingFor.push('it has not said yet that it knows');
  else if (own.inFlight > 0) waitingFor.push(`it works on ${requests(own.inFlight)}`);
  return waitingFor;
}

/** G2 */
function untilAtWork(server: ClusterServer, facts: ServiceFacts): string[] {
  if (!isAlive(server.serverId, facts)) return ['it does not run'];
  const waitingFor: string[] = [];
  const own = reportOf(server.serverId, facts);
  if (own === undefined || own.epoch < facts.epoch) waitingFor.push('it has not said yet that it knows');
  else if (!own.ready) waitingFor.push('it is not ready; its /-/ready says why');
  for (const { serverId, load } of senders(server, facts)) {
    const peer = load?.peers[server.serverId];
    if (load === undefined || load.epoch < facts.epoch) waitingFor.push(`${serverId} has not said yet that it knows`);
    else if (peer !== undefined) waitingFor.push(`${serverId} sends it nothing: ${peer.state}`);
  }
  return waitingFor;
}

function senders(server: ClusterServer, facts: ServiceFacts): { serverId: string; load: MemberLoad | undefined }[] {
  const tier = SENDERS[server.tier];
  return facts.servers
    .filter((other) => other.tier === tier && isAlive(other.serverId, facts))
    .map(({ serverId }) => ({ serverId, load: reportOf(serverId, facts) }));
}

function reportOf(serverId: string, facts: ServiceFacts): MemberLoad | undefined {
  return readMemberLoad(facts.member(serverId)?.load);
}

function isAlive(serverId: string, facts: ServiceFacts): boolean {
  return facts.member(serverId)?.lease.kind === 'alive';
}

function requests(count: number): string {
  return `${count} request${count === 1 ? '' : 's'}`;
}
