/**
 * What an operator may order through the coordinator's admin listener: `drain`, `maint` and `ready`, each of one server;
 * `service` asks how far that is.
 * The order becomes part of the published state, so it reaches everybody and outlives restarts; it is lifted by `ready`
 * only.
 */
import { z } from 'zod';
import type { AdminAction } from '../shared/admin-server.ts';
import { type ClusterServer, clusterServers } from '../shared/cluster-servers.ts';
import { PlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { PublishedState, TakenOut, TakenOutServers } from '../shared/published-state.ts';
import { checkSchema } from '../shared/schema-check.ts';
import type { Leadership } from './leadership.ts';
import { type ServiceFacts, type ServiceState, serviceState, standIns } from './service-state.ts';

/** What all of them answer. */
export interface ServiceAnswer extends ServiceState {
  readonly server: string;
  readonly tier: string;
  /** Others that do its work. */
  readonly standIns: readonly string[];
}

export interface OrderAnswer extends ServiceAnswer {
  readonly was: ServiceState['state'];
  /** Of the published state that says so. */
  readonly epoch: number;
}

export interface OperatorActionsOptions {
  readonly publisher: {
    readonly state: PublishedState | undefined;
    readonly takenOut: TakenOutServers;
    takeOut(serverId: string, how: TakenOut | undefined): Promise<number>;
  };
  readonly leadership: Pick<Leadership, 'leading' | 'leaderId'>;
  readonly member: ServiceFacts['member'];
  readonly log: Logger;
}

const orderSchema = z.strictObject({ server: z.string().min(1).max(64), force: z.boolean().default(false) });

export function operatorActions(options: OperatorActionsOptions): Readonly<Record<string, AdminAction>> {
  const action =
    (how: TakenOut | undefined): AdminAction =>
    (body) =>
      order(options, how, body);
  return {
    drain: action('drain'),
    maint: action('maint'),
    ready: action(undefined),
    service: async (body) => serviceAnswer(options, requireServer(options, parseOrder(body).server)),
  };
}

async function order(options: OperatorActionsOptions, how: TakenOut | undefined, body: unknown): Promise<OrderAnswer> {
  const { publisher, leadership, log } = options;
  if (!leadership.leading) throw new PlatformError('NOT_LEADER', notLeader(leadership.leaderId));
  const { server: serverId, force } = parseOrder(body);
  const server = requireServer(options, serverId);
  const was = publisher.takenOut[serverId] ?? 'ready';
  const isLast = standIns(server, factsOf(options)).length === 0;
  if (how !== undefined && was === 'ready' && isLast && !force) throw lastServer(server);
  const epoch = await publisher.takeOut(serverId, how);
  log.info({ server: serverId, was, state: how ?? 'ready', epoch }, 'an operator has ordered');
  return { ...serviceAnswer(options, server), was, epoch };
}

function serviceAnswer(options: OperatorActionsOptions, server: ClusterServer): ServiceAnswer {
  const facts = factsOf(options);
  const { serverId, tier } = server;
  return { server: serverId, tier, standIns: standIns(server, facts), ...serviceState(server, facts) };
}

function factsOf({ publisher, member }: OperatorActionsOptions): ServiceFacts {
  const { state, takenOut } = publisher;
  return {
    epoch: state?.epoch ?? 0,
    takenOut,
    servers: state === undefined ? [] : clusterServers(state.config),
    member,
  };
}

function parseOrder(body: unknown): z.infer<typeof orderSchema> {
  const parsed = checkSchema(orderSchema, body);
  if (parsed?.success === true) return parsed.data;
  throw new PlatformError('BODY_INVALID', 'Expected {"server": ID, "force": true or false}.');
}

function requireServer(options: OperatorActionsOptions, serverId: string): ClusterServer {
  const { servers } = factsOf(options);
  const server = servers.find((known) => known.serverId === serverId);
  const orderable = servers.filter(({ tier }) => tier !== 'coordinator').map((known) => known.serverId);
  if (server === undefined) {
    const detail = `Expected one of the cluster's servers (${orderable.join(', ')}), got ${serverId}.`;
    throw new PlatformError('SERVER_UNKNOWN', detail);
  }
  if (server.tier !== 'coordinator') return server;
  const detail = `Expected a server that requests pass through (${orderable.join(', ')}), got the coordinator ${serverId}: stop it with SIGTERM, requests flow without it.`;
  throw new PlatformError('SERVER_UNKNOWN', detail);
}

function lastServer({ serverId, tier, groupId }: ClusterServer): PlatformError {
  const what = tier === 'app' ? `app server of group ${groupId}` : WORDS[tier];
  const detail = `${serverId} is the last ${what} that runs and is in service: without it ${CONSEQUENCES[tier]}. Put another one back first, or add --force.`;
  return new PlatformError('LAST_SERVER', detail);
}

const WORDS = {
  app: 'app server',
  dispatcher: 'dispatcher',
  interface: 'interface server',
  coordinator: 'coordinator',
};

const CONSEQUENCES = {
  app: 'every request of its accounts is answered 503',
  dispatcher: 'every request is answered 503',
  interface: 'clients have nobody to turn to',
  coordinator: 'config changes wait',
};

function notLeader(leaderId: string): string {
  if (leaderId === '')
    return 'Expected the coordinator that leads, and none does at the moment: try again in a second.';
  return `Expected the coordinator that leads, which is ${leaderId}: give it the order.`;
}
