/**
 * Whether a config leaves the data that a cluster already has where it is, asked before anything starts: servers would
 * start from the config published last (start-config.ts), while whoever starts them goes by this one.
 */
import path from 'node:path';
import { parsePublication } from '../../coordinator-server/publication-schema.ts';
import { clusterServers } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { chooseStartConfig, stateAsFound } from '../../shared/config/start-config.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { PublishedState } from '../../shared/published-state.ts';
import { PublishedStateFile, publishedStatePath } from '../../shared/published-state-file.ts';
import { parsePublishedState } from '../../shared/published-state-schema.ts';
import type { Tier } from '../../shared/server-process.ts';

/** @throws PlatformError CONFIG_MOVES_DATA with every reason and what to do */
export function requireDataInPlace(config: ClusterConfig, rootFolder: string): void {
  const newest = newestState(config, rootFolder);
  const start = chooseStartConfig({ ok: true, config }, newest);
  if (start.kind !== 'published') return;
  const folder = path.resolve(rootFolder, config.dataFolder);
  const lines = [
    `${folder} holds the data of cluster ${start.config.cluster}, and this config does not fit it:`,
    ...start.reasons,
    'Put the config right, or give a new cluster a dataFolder of its own. (./trunkline reset deletes what is there.)',
  ];
  throw new PlatformError('CONFIG_MOVES_DATA', lines.join('\n'));
}

/** Of all servers: the coordinator's own may be lost, or be older than what it published. */
function newestState(config: ClusterConfig, rootFolder: string): PublishedState | undefined {
  const states = clusterServers(config).flatMap(({ serverId, tier }) => {
    const file = publishedStatePath(rootFolder, config.dataFolder, serverId);
    const kept = new PublishedStateFile(file, parserOf(tier)).peek();
    return 'value' in kept ? [stateAsFound(kept.value, config.dataFolder, rootFolder)] : [];
  });
  return states.sort((a, b) => b.epoch - a.epoch)[0];
}

function parserOf(tier: Tier): (kept: unknown) => PublishedState {
  return tier === 'coordinator' ? (kept) => parsePublication(kept).state : parsePublishedState;
}
