/** A cluster with one server of each tier, which can tell whose handlers ran: for tests at the HTTP edge. */
import path from 'node:path';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { startTestCluster, type TestCluster } from './test-cluster.ts';
import { untilWhole } from './whole-cluster.ts';

export interface EdgeCluster {
  readonly running: TestCluster;
  /** host:port of each interface server. */
  readonly addresses: readonly string[];
  /** How often the handler of test/support/services/marks ran for each account. */
  marks(): Promise<Readonly<Record<string, Mark>>>;
  close(): Promise<void>;
}

export interface Mark {
  readonly runs: number;
  readonly runsWithoutProxy: number;
}

export interface EdgeClusterOptions {
  /** Default 1. */
  readonly interfaceServers?: number;
  readonly change?: (config: ClusterConfig) => void;
}

export async function startEdgeCluster(options: EdgeClusterOptions = {}): Promise<EdgeCluster> {
  const running = await startTestCluster({
    change: (config) => {
      config.services.push(path.resolve(import.meta.dirname, 'services/marks'));
      config.interface.servers = config.interface.servers.slice(0, options.interfaceServers ?? 1);
      config.dispatcher.servers = config.dispatcher.servers.slice(0, 1);
      const [group] = config.groups;
      if (group === undefined) throw new Error('expected a group in the local cluster');
      config.groups = [{ ...group, frames: ['0-99'], appServers: group.appServers.slice(0, 1) }];
      options.change?.(config);
    },
  });
  await untilWhole(running.config);
  return {
    running,
    addresses: running.urls.map((url) => new URL(url).host),
    marks: async () => (await (await fetch(`${running.urls[0]}/marks?account=any`)).json()) as Record<string, Mark>,
    close: () => running.close(),
  };
}
