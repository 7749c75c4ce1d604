/** Puts a dispatcher together and starts it. The way of a request through it is in dispatcher-pipeline.ts. */
import { systemClock } from '../shared/clock.ts';
import { identityOf, joinCluster, newIncarnation, type Readiness } from '../shared/cluster-member.ts';
import { REACH_TOPIC } from '../shared/dispatcher-messages.ts';
import { drained } from '../shared/drained.ts';
import { PlatformError } from '../shared/errors.ts';
import { LinkListener } from '../shared/link/link-listener.ts';
import { linkSettingsOf } from '../shared/link/link-settings.ts';
import { Metrics } from '../shared/metrics.ts';
import { Tick } from '../shared/queue/tick.ts';
import type { StartServer } from '../shared/server-process.ts';
import { DispatcherMetrics } from './dispatcher-metrics.ts';
import { DispatcherPipeline } from './dispatcher-pipeline.ts';
import { GroupLanes } from './group-lanes.ts';

export const startDispatcherServer: StartServer = async (options) => {
  const { config, serverId, log } = options;
  const address = config.dispatcher.servers.find(({ id }) => id === serverId);
  if (address === undefined)
    throw new PlatformError('CONFIG_INVALID', `expected a dispatcher "${serverId}" in the config`);
  const incarnation = newIncarnation();
  const metrics = new Metrics({ serverId, tier: 'dispatcher' });
  const tick = new Tick(systemClock);
  const pipeline = new DispatcherPipeline({
    config,
    metrics: new DispatcherMetrics(metrics),
    clock: systemClock,
    tick,
  });
  const lanes = new GroupLanes(options, incarnation, tick, pipeline, () => announceReach());

  const listener = new LinkListener({
    address: address.listen,
    identity: identityOf(options, 'dispatcher', incarnation),
    acceptRoles: ['interface'],
    settings: linkSettingsOf(config),
    log,
    tick,
    handlers: {
      onOpen: (link) => link.notify(REACH_TOPIC, { groups: lanes.reachable }),
      onRequest: (link, streamId, message, start, end) => pipeline.onRequest(link, streamId, message, start, end),
      onCancel: (link, streamId) => pipeline.onCancel(link, streamId),
      onClosed: (link) => pipeline.onOriginClosed(link),
      loadReport: () => ({ queueDepth: lanes.waiting, inFlight: pipeline.inFlight, draining: listener.draining }),
    },
  });
  const announceReach = (): void => {
    const groups = lanes.reachable;
    for (const link of listener.links) link.notify(REACH_TOPIC, { groups });
  };
  const ready = (): Readiness => {
    const reasons = lanes.known
      ? lanes.unreachable.map((groupId) => `no app server of group ${groupId} works`)
      : ['no state published by a coordinator yet'];
    if (listener.draining) reasons.push('draining');
    return { ready: reasons.length === 0, reasons };
  };
  metrics.gauge('trunkline_requests_in_flight', 'Requests taken and not yet answered', () => pipeline.inFlight);
  metrics.gauge('trunkline_requests_held', 'Requests held while a map or view changes', () => pipeline.heldCount);
  metrics.gauge('trunkline_queue_depth', 'Requests waiting, by group and class', () => lanes.depths());
  metrics.gauge('trunkline_peer_ready', '1 while the peer gets requests', () => lanes.peerStates());

  const member = await joinCluster({
    server: options,
    tier: 'dispatcher',
    incarnation,
    metrics,
    listen: address.listen,
    admin: address.admin,
    onState: (state) => {
      lanes.applyState(state);
      pipeline.applyState(state.config, state.bucketMap, lanes.inMapOrder);
    },
    ready,
    status: () => ({ inFlight: pipeline.inFlight, held: pipeline.heldCount, groups: lanes.status() }),
    load: () => ({ inFlight: pipeline.inFlight, peers: lanes.peers() }),
  });
  await lanes.firstReach();
  const listen = await listener.listen();
  return {
    serverId,
    tier: 'dispatcher',
    listen,
    admin: member.admin.address,
    stop: async () => {
      await listener.announceDrain(); // what crosses it is still served
      pipeline.drain();
      await drained(systemClock, () => pipeline.inFlight, config.limits.drainMs);
      listener.close();
      member.close();
      lanes.close();
      pipeline.close();
    },
  };
};
