/** Every server a config names, as one flat list: for whoever starts, counts or watches them all. */
import type { ClusterConfig, ServerConfig } from './config/cluster-schema.ts';
import type { Tier } from './server-process.ts';

export interface ClusterServer {
  readonly serverId: string;
  readonly tier: Tier;
  /** host:port, as configured. */
  readonly listen: string;
  readonly admin: string;
  /** Group of an app server; undefined for the other tiers. */
  readonly groupId: string | undefined;
}

/** @returns servers from the back to the front: coordinators (the checkpointer last), app servers, dispatchers, interface servers */
export function clusterServers(config: ClusterConfig): ClusterServer[] {
  const ofTier = (tier: Tier, servers: readonly ServerConfig[], groupId?: string): ClusterServer[] =>
    servers.map((server) => ({ serverId: server.id, tier, listen: server.listen, admin: server.admin, groupId }));
  return [
    ...ofTier('coordinator', coordinatorPlaces(config)),
    ...config.groups.flatMap((group) => ofTier('app', group.appServers, group.id)),
    ...ofTier('dispatcher', config.dispatcher.servers),
    ...ofTier('interface', config.interface.servers),
  ];
}

/** Where a coordinator may be found: the coordinators, and the checkpointer, which is one once it was promoted. */
export function coordinatorPlaces(config: ClusterConfig): readonly ServerConfig[] {
  const { servers, checkpointer } = config.coordinator;
  return checkpointer === undefined ? servers : [...servers, checkpointer];
}
