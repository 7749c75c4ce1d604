/** Puts an interface server together and starts it. The way of a request through it is in interface-pipeline.ts. */
import { PeerPool } from '../shared/balance/peer-pool.ts';
import { systemClock } from '../shared/clock.ts';
import { identityOf, joinCluster, newIncarnation, type Readiness } from '../shared/cluster-member.ts';
import { drained } from '../shared/drained.ts';
import { PlatformError } from '../shared/errors.ts';
import { linkSettingsOf } from '../shared/link/link-settings.ts';
import { Metrics } from '../shared/metrics.ts';
import type { PublishedState } from '../shared/published-state.ts';
import { Tick } from '../shared/queue/tick.ts';
import type { StartServer } from '../shared/server-process.ts';
import { createWebApp, listenExclusive } from '../shared/web-server.ts';
import { ClientConnections } from './client-connections.ts';
import { DispatcherReach } from './dispatcher-reach.ts';
import { InterfaceMetrics } from './interface-metrics.ts';
import { InterfacePipeline } from './interface-pipeline.ts';
import { servePlatformRoutes } from './platform-routes.ts';

export const startInterfaceServer: StartServer = async (options) => {
  const { config, serverId, log } = options;
  const address = config.interface.servers.find(({ id }) => id === serverId);
  if (address === undefined)
    throw new PlatformError('CONFIG_INVALID', `expected an interface server "${serverId}" in the config`);
  const incarnation = newIncarnation();
  const metrics = new Metrics({ serverId, tier: 'interface' });
  const tick = new Tick(systemClock);
  const reach = new DispatcherReach();
  const pool = new PeerPool({
    role: 'dispatcher',
    identity: identityOf(options, 'interface', incarnation),
    settings: linkSettingsOf(config),
    health: config.health,
    policy: config.interface.dispatcherPolicy,
    linksPerPeer: 1,
    log,
    tick,
    onUsable: () => pipeline.scanner.wake(),
    onNotice: (peer, topic, value) => reach.onNotice(peer, topic, value),
  });
  const pipeline = new InterfacePipeline({
    config,
    incarnation,
    pool,
    metrics: new InterfaceMetrics(metrics),
    log,
    clock: systemClock,
    tick,
  });
  let state: PublishedState | undefined;
  let stopping = false;
  const ready = (): Readiness => {
    const reasons =
      state === undefined ? ['no state published by a coordinator yet'] : reach.missing(state, pool.working);
    if (stopping) reasons.push('draining');
    return { ready: reasons.length === 0, reasons };
  };
  exportGauges(metrics, pipeline, pool);

  const app = createWebApp();
  const connections = new ClientConnections();
  connections.watch(app);
  servePlatformRoutes(app, { serverId, ready: () => member.ready(), pipeline });
  app.any('/*', (response, request) => pipeline.accept(response, request));
  const member = await joinCluster({
    server: options,
    tier: 'interface',
    incarnation,
    metrics,
    listen: address.listen,
    admin: address.admin,
    onState: (published) => {
      state = published;
      pipeline.applyState(published);
      pipeline.takenOut = published.takenOut[serverId];
      const dispatchers = published.config.dispatcher.servers.map(({ id, listen }) => ({
        id,
        address: listen,
        takenOut: published.takenOut[id],
      }));
      pool.configure(dispatchers, {
        policy: published.config.interface.dispatcherPolicy,
        health: published.config.health,
      });
    },
    ready,
    status: () => ({
      inFlight: pipeline.inFlight,
      connections: connections.open,
      queues: pipeline.queue.depths(),
      dispatchers: pool.status(),
    }),
    load: () => ({ inFlight: pipeline.inFlight, connections: connections.open, peers: pool.status() }),
  });
  await drained(systemClock, () => (ready().ready ? 0 : 1), FIRST_READY_MS_MAX);
  const socket = await listenExclusive(app, address.listen);
  return {
    serverId,
    tier: 'interface',
    listen: socket.address,
    admin: member.admin.address,
    stop: async () => {
      stopping = true;
      pipeline.drain();
      socket.close();
      await connections.spent(
        systemClock,
        () => pipeline.taken,
        () => pipeline.inFlight + pipeline.unread.held,
        config.limits.drainMs,
      );
      app.close();
      member.close();
      pool.close();
      pipeline.close();
    },
  };
};

/** An interface server that starts waits this long to be ready, so that it takes no request it cannot place. */
const FIRST_READY_MS_MAX = 1_000;

function exportGauges(metrics: Metrics, pipeline: InterfacePipeline, pool: PeerPool): void {
  metrics.gauge('trunkline_requests_in_flight', 'Requests taken and not yet answered', () => pipeline.inFlight);
  metrics.gauge('trunkline_queue_depth', 'Requests waiting, by class', () =>
    pipeline.queue.depths().map(({ name, waiting }) => ({ labels: { class: name }, value: waiting })),
  );
  metrics.gauge('trunkline_queue_refused', 'Requests refused for a full queue since the start, by class', () =>
    pipeline.queue.depths().map(({ name, refused }) => ({ labels: { class: name }, value: refused })),
  );
  metrics.gauge('trunkline_peer_ready', '1 while the peer gets requests', () =>
    pool.status().map(({ id, state }) => ({ labels: { peer: id }, value: state === 'ready' ? 1 : 0 })),
  );
}
