/** Trunkline as a contestant: real clusters of real processes, every feature on, as `npm start` would run them. */
import type { ClusterConfig, ReplicaConfig } from '../../../shared/config/cluster-schema.ts';
import { freePorts } from '../../support/free-ports.ts';
import type { Mariadb } from '../../support/mariadb.ts';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';
import { databaseOf } from './databases.ts';
import type { LoadedServer } from './loaded-server.ts';

export interface TrunklineOptions {
  readonly name: string;
  /** Default 1. */
  readonly dispatchers?: number;
  /** One replica in each; default: two SQLite replicas. */
  readonly databases?: readonly Mariadb[];
}

export interface TrunklineServer extends LoadedServer {
  readonly running: TestCluster;
}

/** Servers read the database's password here. */
const PASSWORD_VARIABLE = 'TRUNKLINE_BENCH_PASSWORD';

/** One interface server, dispatchers, and one group of two app servers. */
export async function startTrunkline(options: TrunklineOptions): Promise<TrunklineServer> {
  const { name, dispatchers = 1, databases = [] } = options;
  const ports = await freePorts(dispatchers * 2);
  const running = await startTestCluster({
    change: (config) => {
      config.interface.servers.length = 1;
      config.dispatcher.servers = Array.from({ length: dispatchers }, (_, index) => ({
        id: `d${index + 1}`,
        listen: `127.0.0.1:${ports.pop()}`,
        admin: `127.0.0.1:${ports.pop()}`,
      }));
      config.groups.length = 1;
      for (const group of config.groups) {
        group.frames = ['0-99'];
        if (databases.length > 0) group.replicas = databases.map(replicaOf);
      }
    },
  });
  return loaded(name, running, databases);
}

/** The cluster of `npm start`, whole. */
export async function startLocalTrunkline(name: string): Promise<TrunklineServer> {
  return loaded(name, await startTestCluster(), []);
}

/** The ids of the servers of each kind. */
export function serverKinds(config: ClusterConfig): Map<string, string[]> {
  const idsOf = (servers: readonly { readonly id: string }[]): string[] => servers.map(({ id }) => id);
  return new Map([
    ['interface server', idsOf(config.interface.servers)],
    ['dispatcher', idsOf(config.dispatcher.servers)],
    ['app server', config.groups.flatMap(({ appServers }) => idsOf(appServers))],
    ['coordinator', idsOf(config.coordinator.servers)],
  ]);
}

async function loaded(name: string, running: TestCluster, databases: readonly Mariadb[]): Promise<TrunklineServer> {
  await untilWhole(running.config).catch(async (error: unknown) => {
    await running.close();
    throw error;
  });
  return {
    name,
    running,
    url: running.urls[0] as string,
    pids: () => [
      ...running.cluster.servers().flatMap(({ pid }) => pid ?? []),
      ...databases.map((database) => database.pid),
    ],
    close: () => running.close(),
  };
}

function replicaOf(mariadb: Mariadb, index: number): ReplicaConfig {
  const { host, port, user, password, database } = databaseOf(mariadb);
  process.env[PASSWORD_VARIABLE] = password;
  return {
    id: `m${index + 1}`,
    kind: 'mysql',
    address: `${host}:${port}`,
    database,
    writer: { user, password: { env: PASSWORD_VARIABLE } },
    writerConnections: 4,
    readerConnections: 8,
  };
}
