/**
 * What interface servers, dispatchers and app servers have in common: an identity, metrics, a seat in the cluster and
 * an admin listener. Each tier adds its own pipeline.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type AdminServer, startAdminServer } from './admin-server.ts';
import type { PeerStatus } from './balance/peer-pool.ts';
import { systemClock } from './clock.ts';
import { coordinatorPlaces } from './cluster-servers.ts';
import { CoordinationClient } from './coordination-client.ts';
import { makeIncarnation } from './ids.ts';
import type { LinkIdentity } from './link/greeting.ts';
import { linkSettingsOf } from './link/link-settings.ts';
import { type MemberLoad, peersWithoutRequests } from './member-load.ts';
import type { Metrics } from './metrics.ts';
import type { PublishedState, RouteEntry, TakenOut } from './published-state.ts';
import { publishedStatePath } from './published-state-file.ts';
import { systemRandom } from './random.ts';
import type { ServerOptions, Tier } from './server-process.ts';
import { VERSION } from './version.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: string[];
  /** An operator has taken this server out: it is not ready because it is not to be. */
  readonly takenOut?: TakenOut;
}

export interface ClusterMemberOptions {
  readonly server: ServerOptions;
  readonly tier: Exclude<Tier, 'coordinator'>;
  readonly incarnation: string;
  readonly metrics: Metrics;
  /** host:port really listened on. */
  readonly listen: string;
  readonly admin: string;
  /** App servers: the routes of their services. */
  readonly routes?: readonly RouteEntry[];
  readonly onState: (state: PublishedState) => void;
  /** Of this tier by itself; whether an operator took the server out is added here. */
  readonly ready: () => Readiness;
  readonly status: () => Record<string, unknown>;
  readonly load: () => {
    readonly inFlight: number;
    readonly connections?: number;
    /** All that it sends requests to. */
    readonly peers?: readonly PeerStatus[];
  };
}

export interface ClusterMember {
  readonly admin: AdminServer;
  readonly coordination: CoordinationClient;
  ready(): Readiness;
  close(): void;
}

export function newIncarnation(): string {
  return makeIncarnation(systemRandom);
}

/** Who this server is on its links. */
export function identityOf(server: ServerOptions, role: LinkIdentity['role'], incarnation: string): LinkIdentity {
  return { cluster: server.config.cluster, token: server.token, role, serverId: server.serverId, incarnation };
}

/** Joins the cluster and opens the admin listener. @throws PlatformError PORT_TAKEN */
export async function joinCluster(options: ClusterMemberOptions): Promise<ClusterMember> {
  const { server, tier, metrics } = options;
  const { config, serverId, log } = server;
  const coordination = new CoordinationClient({
    coordinators: coordinatorPlaces(config).map(({ listen }) => listen),
    identity: identityOf(server, tier, options.incarnation),
    membership: {
      tier,
      serverId,
      incarnation: options.incarnation,
      listen: options.listen,
      admin: options.admin,
      version: VERSION,
      ...(options.routes === undefined ? {} : { routes: options.routes }),
    },
    settings: linkSettingsOf(config),
    stateFile: publishedStatePath(server.rootFolder, config.dataFolder, serverId),
    log,
    onState: options.onState,
    loadReport: () => memberLoad(),
  });
  const takenOut = (): TakenOut | undefined => coordination.state?.takenOut[serverId];
  const ready = (): Readiness => withOrder(options.ready(), serverId, takenOut());
  const memberLoad = (): MemberLoad => {
    const { peers = [], ...load } = options.load();
    const epoch = coordination.state?.epoch ?? 0;
    return { epoch, ready: ready().ready, ...load, peers: peersWithoutRequests(peers) };
  };
  watchEventLoop(metrics);
  metrics.gauge(
    'trunkline_state_epoch',
    'Epoch of the published state this server acts on',
    () => coordination.state?.epoch ?? 0,
  );
  metrics.gauge('trunkline_coordinator_connected', '1 while a coordinator is connected', () =>
    Number(coordination.connected),
  );
  const startedAtMs = systemClock.nowMs();
  const admin = await startAdminServer({
    address: options.admin,
    serverId,
    tier,
    token: server.token,
    metrics,
    ready,
    status: () => ({
      server: serverId,
      tier,
      version: VERSION,
      pid: process.pid,
      uptimeMs: Math.round(systemClock.nowMs() - startedAtMs),
      epoch: coordination.state?.epoch ?? 0,
      bucketMapEpoch: coordination.state?.bucketMap.epoch ?? 0,
      coordinatorConnected: coordination.connected,
      takenOut: takenOut() ?? null,
      ...options.status(),
    }),
  });
  coordination.start();
  return {
    admin,
    coordination,
    ready,
    close: () => {
      coordination.close();
      admin.close();
    },
  };
}

function withOrder(readiness: Readiness, serverId: string, takenOut: TakenOut | undefined): Readiness {
  if (takenOut === undefined) return readiness;
  const reason = `${takenOut}: an operator took it out; \`trunkline ready ${serverId}\` puts it back`;
  return { ready: false, reasons: [...readiness.reasons, reason], takenOut };
}

/** How late the event loop runs its timers: the first sign of a blocked or overloaded server. */
function watchEventLoop(metrics: Metrics): void {
  const delays = monitorEventLoopDelay({ resolution: 20 });
  delays.enable();
  const NANOS_PER_SECOND = 1e9;
  metrics.gauge('trunkline_event_loop_delay_seconds', 'Event-loop delay since the last scrape, by quantile', () => {
    const values = [0.5, 0.99].map((quantile) => ({
      labels: { quantile: String(quantile) },
      value: delays.percentile(quantile * 100) / NANOS_PER_SECOND,
    }));
    delays.reset();
    return values;
  });
}
