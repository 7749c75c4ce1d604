/** Puts a coordinator together and starts it. The way of what reaches it is in coordinator-pipeline.ts. */
import { startAdminServer } from '../shared/admin-server.ts';
import { systemClock } from '../shared/clock.ts';
import { formatConfigProblems } from '../shared/config/load-cluster-config.ts';
import { PlatformError } from '../shared/errors.ts';
import { makeIncarnation } from '../shared/ids.ts';
import { LinkListener } from '../shared/link/link-listener.ts';
import { linkSettingsOf } from '../shared/link/link-settings.ts';
import { Metrics } from '../shared/metrics.ts';
import { PublishedStateFile, publishedStatePath } from '../shared/published-state-file.ts';
import { systemRandom } from '../shared/random.ts';
import type { RunningServer, ServerOptions, StartServer } from '../shared/server-process.ts';
import { ConfigWatcher } from './config-watcher.ts';
import { CoordinatorPipeline, EXPIRE_EVERY_MS } from './coordinator-pipeline.ts';
import { coordinatorStatus } from './coordinator-status.ts';
import { operatorActions } from './operator-actions.ts';
import { parsePublication } from './publication-schema.ts';
import { StatePublisher } from './state-publisher.ts';

export const startCoordinatorServer: StartServer = async (options) => {
  const { config, serverId, log } = options;
  const clock = systemClock;
  const server = config.coordinator.servers.find((candidate) => candidate.id === serverId);
  if (server === undefined) {
    throw new PlatformError('USAGE', `Expected the id of a coordinator of ${options.configFile}, got ${serverId}.`);
  }
  const stateFile = publishedStatePath(options.rootFolder, config.dataFolder, serverId);
  const publisher = new StatePublisher({
    file: new PublishedStateFile(stateFile, parsePublication),
    log,
    clock,
    onPublished: (state) => pipeline.publish(state),
  });
  const pipeline = new CoordinatorPipeline({ publisher, log, clock });
  publisher.recover(config.cluster);
  return await serve(options, server, publisher, pipeline);
};

async function serve(
  options: ServerOptions,
  addresses: { readonly listen: string; readonly admin: string },
  publisher: StatePublisher,
  pipeline: CoordinatorPipeline,
): Promise<RunningServer> {
  const { config, serverId, log, token, configFile } = options;
  const clock = systemClock;
  const startedAtMs = clock.nowMs();
  const listener = new LinkListener({
    address: addresses.listen,
    identity: {
      cluster: config.cluster,
      token,
      role: 'coordinator',
      serverId,
      incarnation: makeIncarnation(systemRandom),
    },
    acceptRoles: ['interface', 'dispatcher', 'app', 'tool'],
    settings: linkSettingsOf(config),
    handlers: pipeline.linkHandlers,
    log,
  });
  const listen = await listener.listen();
  try {
    pipeline.offerConfig(config);
    publisher.begin();
    await publisher.settled();
    if (publisher.state === undefined) throw new PlatformError('STORE_UNAVAILABLE', publisher.writeFailure);
  } catch (thrown) {
    listener.close();
    throw thrown;
  }
  const admin = await startAdminServer({
    address: addresses.admin,
    serverId,
    tier: 'coordinator',
    token,
    metrics: coordinatorMetrics(serverId, publisher, pipeline),
    ready: () => ({
      ready: publisher.writeFailure === '',
      reasons: publisher.writeFailure === '' ? [] : [publisher.writeFailure],
    }),
    status: () =>
      coordinatorStatus({
        serverId,
        pid: process.pid,
        startedAtMs,
        configFile,
        state: publisher.state,
        publishedAtWallMs: publisher.publishedAtWallMs,
        writeFailure: publisher.writeFailure,
        refusal: pipeline.refusal,
        members: pipeline.members.list(),
        routeConflicts: publisher.conflicts,
        links: pipeline.linkCount,
        nowMs: clock.nowMs(),
      }),
    actions: operatorActions({ publisher, member: (id) => pipeline.members.get(id), log }),
  }).catch((thrown: unknown) => {
    listener.close();
    throw thrown;
  });
  const ticker = clock.every(EXPIRE_EVERY_MS, () => pipeline.onTick());
  const watcher = new ConfigWatcher({
    file: configFile,
    onConfig: (edited) => pipeline.offerConfig(edited),
    onProblems: (problems) => pipeline.refuseConfig('CONFIG_INVALID', formatConfigProblems(problems).split('\n')),
    log,
  });
  watcher.start();
  return {
    serverId,
    tier: 'coordinator',
    listen,
    admin: admin.address,
    stop: async () => {
      watcher.close();
      ticker.cancel();
      listener.close();
      admin.close();
      await publisher.close();
    },
  };
}

function coordinatorMetrics(serverId: string, publisher: StatePublisher, pipeline: CoordinatorPipeline): Metrics {
  const metrics = new Metrics({ serverId, tier: 'coordinator' });
  metrics.gauge('trunkline_published_epoch', 'Epoch of the published state', () => publisher.state?.epoch ?? 0);
  metrics.gauge('trunkline_config_refused', '1 while the config file holds a config that was refused', () =>
    pipeline.refusal?.stands === true ? 1 : 0,
  );
  metrics.gauge('trunkline_members', 'Members by state of their lease', () =>
    (['alive', 'expired', 'left'] as const).map((state) => ({
      labels: { state },
      value: pipeline.members.list().filter((member) => member.lease.kind === state).length,
    })),
  );
  return metrics;
}
