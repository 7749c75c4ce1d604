/** Puts an app server together and starts it. The way of a request through it is in app-pipeline.ts. */
import path from 'node:path';
import { ReplicatedStore } from '../db/replicated-store.ts';
import { systemClock } from '../shared/clock.ts';
import { identityOf, joinCluster, newIncarnation, type Readiness } from '../shared/cluster-member.ts';
import { drained } from '../shared/drained.ts';
import { PlatformError } from '../shared/errors.ts';
import { LinkListener } from '../shared/link/link-listener.ts';
import { linkSettingsOf } from '../shared/link/link-settings.ts';
import { Metrics } from '../shared/metrics.ts';
import { Tick } from '../shared/queue/tick.ts';
import type { StartServer } from '../shared/server-process.ts';
import { AppMetrics } from './app-metrics.ts';
import { AppPipeline } from './app-pipeline.ts';
import { HandlerPark } from './handler-park.ts';
import { HandlerRegistry } from './handler-registry.ts';
import { HandlerRunner } from './handler-runner.ts';
import { RejectionGuard } from './rejection-guard.ts';
import { loadServices } from './service-loader.ts';

export const startAppServer: StartServer = async (options) => {
  const { config, serverId, log, rootFolder } = options;
  const group = config.groups.find(({ appServers }) => appServers.some(({ id }) => id === serverId));
  const address = group?.appServers.find(({ id }) => id === serverId);
  if (group === undefined || address === undefined) {
    throw new PlatformError('CONFIG_INVALID', `expected an app server "${serverId}" in the config`);
  }
  const rejections = new RejectionGuard(log);
  const registry = new HandlerRegistry(await loadServices(config.services, rootFolder));
  const store = await ReplicatedStore.open({
    groupId: group.id,
    replicas: group.replicas,
    dataFolder: path.resolve(rootFolder, config.dataFolder),
    secretsFolder: rootFolder,
    schema: registry.schema,
    log,
  });
  const incarnation = newIncarnation();
  const metrics = new Metrics({ serverId, tier: 'app' });
  const tick = new Tick(systemClock);
  const park = new HandlerPark({
    coordinators: config.coordinator.servers.map((coordinator) => coordinator.listen),
    identity: identityOf(options, 'app', incarnation),
    settings: linkSettingsOf(config),
    log,
  });
  const runner = new HandlerRunner({ registry, store, park, log, limits: config.limits, clock: systemClock });
  const pipeline = new AppPipeline({
    config,
    serverId,
    groupId: group.id,
    runner,
    metrics: new AppMetrics(metrics),
    clock: systemClock,
    tick,
  });
  const listener = new LinkListener({
    address: address.listen,
    identity: identityOf(options, 'app', incarnation),
    acceptRoles: ['dispatcher'],
    settings: linkSettingsOf(config),
    log,
    tick,
    handlers: {
      onRequest: (link, streamId, message, start, end) => pipeline.onRequest(link, streamId, message, start, end),
      onCancel: (link, streamId) => pipeline.onCancel(link, streamId),
      onClosed: (link) => pipeline.onOriginClosed(link),
      loadReport: () => ({
        queueDepth: pipeline.queue.waiting,
        inFlight: pipeline.inFlight,
        draining: listener.draining,
      }),
    },
  });
  const ready = (): Readiness => {
    const reasons = pipeline.mapped ? [] : ['no state published by a coordinator yet'];
    for (const replica of store.status())
      if (!replica.healthy) reasons.push(`replica ${replica.replicaId}: ${replica.reason}`);
    if (listener.draining) reasons.push('draining');
    return { ready: reasons.length === 0, reasons };
  };
  exportGauges(metrics, pipeline, store);
  metrics.gauge(
    'trunkline_handler_rejections',
    'Promises that failed and that no handler awaited, since the start',
    () => rejections.count,
  );
  const member = await joinCluster({
    server: options,
    tier: 'app',
    incarnation,
    metrics,
    listen: address.listen,
    admin: address.admin,
    routes: registry.manifest,
    onState: (state) => pipeline.applyState(state.config, state.bucketMap),
    ready,
    status: () => ({
      group: group.id,
      inFlight: pipeline.inFlight,
      queues: pipeline.queue.depths(),
      replicas: store.status(),
    }),
    load: () => ({ inFlight: pipeline.inFlight }),
  });
  const mapped = (): number => (pipeline.mapped ? 0 : 1);
  await drained(systemClock, mapped, FIRST_STATE_MS_MAX);
  const listen = await listener.listen();
  return {
    serverId,
    tier: 'app',
    listen,
    admin: member.admin.address,
    stop: async () => {
      await listener.announceDrain(); // what crosses it is still served
      pipeline.drain();
      await drained(systemClock, () => pipeline.inFlight, config.limits.drainMs);
      listener.close();
      member.close();
      runner.close();
      park.close();
      await store.close();
      rejections.close();
    },
  };
};

/** An app server that starts waits this long for a map, so that it takes no request it must refuse. */
const FIRST_STATE_MS_MAX = 1_000;

function exportGauges(metrics: Metrics, pipeline: AppPipeline, store: ReplicatedStore): void {
  metrics.gauge('trunkline_requests_in_flight', 'Requests taken and not yet answered', () => pipeline.inFlight);
  metrics.gauge('trunkline_queue_depth', 'Requests waiting, by class', () =>
    pipeline.queue.depths().map(({ name, waiting }) => ({ labels: { class: name }, value: waiting })),
  );
  metrics.gauge('trunkline_replica_healthy', '1 while the replica serves reads', () =>
    store.status().map(({ replicaId, healthy }) => ({ labels: { replica: replicaId }, value: Number(healthy) })),
  );
  metrics.gauge('trunkline_replica_latency_seconds', 'Running average of the replica’s reads', () =>
    store.status().map(({ replicaId, latencyMs }) => ({ labels: { replica: replicaId }, value: latencyMs / 1000 })),
  );
  metrics.gauge('trunkline_replica_log_seq', 'Newest entry of the replica’s transaction log', () =>
    store.status().map(({ replicaId, logSeq }) => ({ labels: { replica: replicaId }, value: logSeq })),
  );
}
