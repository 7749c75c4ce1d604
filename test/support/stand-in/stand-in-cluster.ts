/** A small cluster of stand-ins: four processes that start fast and do nothing. */
import path from 'node:path';
import type { LocalClusterOptions } from '../../../deploy/local-cluster/local-cluster.ts';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import type { Tier } from '../../../shared/server-process.ts';
import { testConfig } from '../test-cluster.ts';

const MAIN = path.join(import.meta.dirname, 'main.ts');

export const standInProgram = (tier: Tier): readonly string[] => [MAIN, tier];

/** c1, g1a, d1, i1. */
export async function standInConfig(dataFolder: string): Promise<ClusterConfig> {
  const config = await testConfig(dataFolder);
  config.interface.servers.length = 1;
  config.dispatcher.servers.length = 1;
  config.groups.length = 1;
  for (const group of config.groups) {
    group.appServers.length = 1;
    group.frames = ['0-99'];
  }
  config.limits.drainMs = 200;
  return config;
}

export async function standInOptions(dataFolder: string): Promise<LocalClusterOptions> {
  return { config: await standInConfig(dataFolder), programOf: standInProgram };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
