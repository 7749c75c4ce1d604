/** What the coordinator's `/-/status` says. Pure. */
import { type ClusterServer, clusterServers } from '../shared/cluster-servers.ts';
import type { PublishedState } from '../shared/published-state.ts';
import { VERSION } from '../shared/version.ts';
import type { Refusal } from './coordinator-pipeline.ts';
import type { Member } from './membership-state.ts';
import { type ServiceState, serviceState } from './service-state.ts';
import type { StoreStatus } from './store/park-store.ts';

export interface CoordinatorFacts {
  readonly serverId: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly configFile: string;
  readonly state: PublishedState | undefined;
  readonly publishedAtWallMs: number;
  readonly writeFailure: string;
  readonly refusal: Refusal | undefined;
  readonly members: readonly Member[];
  readonly routeConflicts: readonly string[];
  readonly links: number;
  /** It was the checkpointer, and took a lost coordinator's place. */
  readonly promoted: boolean;
  /** Id of the coordinator that leads; '' while unknown. */
  readonly leader: string;
  /** Of the journal; 0 with etcd. */
  readonly term: number;
  readonly park: StoreStatus;
  readonly nowMs: number;
}

export function coordinatorStatus(facts: CoordinatorFacts): unknown {
  const { state, refusal } = facts;
  return {
    server: facts.serverId,
    tier: 'coordinator',
    version: VERSION,
    pid: facts.pid,
    uptimeMs: Math.round(facts.nowMs - facts.startedAtMs),
    published: {
      epoch: state?.epoch ?? 0,
      bucketMapEpoch: state?.bucketMap.epoch ?? 0,
      at: instant(facts.publishedAtWallMs),
      writeFailure: facts.writeFailure,
    },
    config: {
      file: facts.configFile,
      state: refusal?.stands === true ? 'refused; the last good one is published' : 'published',
      lastRefusal: refusal === undefined ? null : refusalRow(refusal),
    },
    leader: facts.leader,
    term: facts.term,
    promoted: facts.promoted,
    links: facts.links,
    park: facts.park,
    members: membersOf(facts),
    routes: state?.routes ?? [],
    routeConflicts: facts.routeConflicts,
  };
}

function refusalRow({ code, reasons, stands, atWallMs }: Refusal): unknown {
  return { code, reasons, stands, at: instant(atWallMs) };
}

/** Every server that the config names, joined or not, then whoever joined without being named. */
function membersOf(facts: CoordinatorFacts): unknown[] {
  const joined = new Map(facts.members.map((member) => [member.identity.serverId, member]));
  const named = facts.state === undefined ? [] : clusterServers(facts.state.config);
  const joining = named.filter(({ tier }) => tier !== 'coordinator');
  const rows: unknown[] = joining.map((server) => {
    const { serverId, tier } = server;
    const member = joined.get(serverId);
    const isTakenOut = facts.state?.takenOut[serverId] !== undefined;
    const order = isTakenOut ? { takenOut: serviceOf(server, named, facts) } : {};
    if (member === undefined) return { serverId, tier, state: 'absent', named: true, ...order };
    return { ...memberRow(member, member.identity.tier === tier, facts.nowMs), ...order };
  });
  for (const { serverId } of joining) joined.delete(serverId);
  for (const member of joined.values()) rows.push(memberRow(member, false, facts.nowMs));
  return rows;
}

function serviceOf(server: ClusterServer, servers: readonly ClusterServer[], facts: CoordinatorFacts): ServiceState {
  const { epoch = 0, takenOut = {} } = facts.state ?? {};
  const member = (serverId: string): Member | undefined =>
    facts.members.find(({ identity }) => identity.serverId === serverId);
  return serviceState(server, { epoch, takenOut, servers, member });
}

function memberRow(member: Member, named: boolean, nowMs: number): object {
  const { lease, identity, joinedAtMs, load } = member;
  const since =
    lease.kind === 'alive'
      ? { leaseAgeMs: Math.round(nowMs - lease.renewedAtMs), leaseLeftMs: Math.round(lease.untilMs - nowMs) }
      : { goneForMs: Math.round(nowMs - lease.atMs) };
  return { ...identity, state: lease.kind, named, ...since, joinedForMs: Math.round(nowMs - joinedAtMs), load };
}

function instant(wallMs: number): string | null {
  return wallMs === 0 ? null : new Date(wallMs).toISOString();
}
