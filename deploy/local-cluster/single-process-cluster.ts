/** The same cluster in this one process: for debugging, for machines with little memory, for a profiler. */
import path from 'node:path';
import { clusterServers } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { ensureSecretFile, readSecret } from '../../shared/config/secret.ts';
import { createLogger, type LogLevel } from '../../shared/log.ts';
import type { RunningServer, StartServer, Tier } from '../../shared/server-process.ts';
import { DataFolderLock } from './data-folder-lock.ts';
import { requireDataInPlace } from './data-in-place.ts';
import { requireFreePorts } from './free-ports.ts';
import { ServerLog } from './server-log.ts';
import { STOP_SCHEDULE } from './supervisor-state.ts';

export interface SingleProcessOptions {
  readonly config: ClusterConfig;
  readonly configFile: string;
  readonly rootFolder: string;
  readonly logLevel?: LogLevel;
}

export interface SingleProcessCluster {
  readonly servers: readonly RunningServer[];
  /** Where all servers log to. */
  readonly logFile: string;
  /** Front tier first, as the local cluster of processes does. */
  stop(): Promise<void>;
}

/**
 * @throws PlatformError PORT_TAKEN, USAGE, CONFIG_INVALID, CONFIG_MOVES_DATA, SERVICE_INVALID, with whatever was started
 *   stopped again
 */
export async function startSingleProcessCluster(options: SingleProcessOptions): Promise<SingleProcessCluster> {
  const { config, configFile, rootFolder } = options;
  const dataFolder = path.resolve(rootFolder, config.dataFolder);
  const lock = DataFolderLock.take(dataFolder);
  const running: RunningServer[] = [];
  const logFile = new ServerLog(path.join(dataFolder, 'logs', 'cluster.log'));
  const stop = async (): Promise<void> => {
    for (const { tier } of STOP_SCHEDULE) {
      await Promise.all(running.filter((server) => server.tier === tier).map((server) => server.stop()));
    }
    logFile.close();
    lock.release();
  };
  try {
    requireDataInPlace(config, rootFolder);
    ensureSecretFile(config.token, rootFolder);
    const token = readSecret(config.token, rootFolder);
    await requireFreePorts(clusterServers(config));
    for (const { serverId, tier } of clusterServers(config)) {
      const start = await startFunctionOf(tier);
      const log = createLogger({ tier, serverId, level: options.logLevel ?? 'info', file: logFile.file });
      running.push(await start({ config, serverId, token, rootFolder, configFile, log }));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers: running, logFile: logFile.file, stop };
}

async function startFunctionOf(tier: Tier): Promise<StartServer> {
  switch (tier) {
    case 'coordinator':
      return (await import('../../coordinator-server/start-coordinator-server.ts')).startCoordinatorServer;
    case 'app':
      return (await import('../../app-server/start-app-server.ts')).startAppServer;
    case 'dispatcher':
      return (await import('../../dispatcher-server/start-dispatcher-server.ts')).startDispatcherServer;
    case 'interface':
      return (await import('../../interface-server/start-interface-server.ts')).startInterfaceServer;
  }
}
