/** Puts a coordinator together and starts it. The way of what reaches it is in coordinator-pipeline.ts. */
import { type AdminAction, startAdminServer } from '../shared/admin-server.ts';
import { systemClock } from '../shared/clock.ts';
import type { ServerConfig } from '../shared/config/cluster-schema.ts';
import { formatConfigProblems } from '../shared/config/load-cluster-config.ts';
import { PlatformError } from '../shared/errors.ts';
import { makeIncarnation } from '../shared/ids.ts';
import { LinkListener } from '../shared/link/link-listener.ts';
import { linkSettingsOf } from '../shared/link/link-settings.ts';
import { Metrics } from '../shared/metrics.ts';
import { PublishedStateFile, publishedStatePath } from '../shared/published-state-file.ts';
import { systemRandom } from '../shared/random.ts';
import type { RunningServer, ServerOptions, StartServer } from '../shared/server-process.ts';
import { JournalFeed } from './checkpoint/journal-feed.ts';
import { startCheckpointer } from './checkpoint/start-checkpointer.ts';
import { markFenced, requireNotFenced, serverFolder } from './checkpoint/succession.ts';
import { successorTerm } from './checkpoint/successor-term.ts';
import { SuccessorWatch } from './checkpoint/successor-watch.ts';
import { ConfigHistory } from './config-history.ts';
import { ConfigWatcher } from './config-watcher.ts';
import { Controllers } from './controllers.ts';
import { CoordinatorPipeline, EXPIRE_EVERY_MS } from './coordinator-pipeline.ts';
import { coordinatorStatus } from './coordinator-status.ts';
import { MemberNodes } from './member-nodes.ts';
import { type OpenedStore, openStore } from './open-store.ts';
import { operatorActions } from './operator-actions.ts';
import { ParkAccess } from './park/park-access.ts';
import { parkRoutes } from './park/park-http.ts';
import { ParkLinkService } from './park/park-link-service.ts';
import { ParkPublication } from './park-publication.ts';
import { parsePublication } from './publication-schema.ts';
import { StatePublisher } from './state-publisher.ts';
import type { JournalStore } from './store/journal-store.ts';
import type { ParkStore } from './store/park-store.ts';

export const startCoordinatorServer: StartServer = async (options) => {
  const { config, serverId } = options;
  const { servers, checkpointer } = config.coordinator;
  const server = servers.find((candidate) => candidate.id === serverId);
  if (server !== undefined) return await startCoordinator(options, server);
  if (checkpointer?.id === serverId)
    return await startCheckpointer(options, checkpointer, (promoted) => startCoordinator(promoted, checkpointer));
  throw new PlatformError('USAGE', `Expected the id of a coordinator of ${options.configFile}, got ${serverId}.`);
};

async function startCoordinator(options: ServerOptions, server: ServerConfig): Promise<RunningServer> {
  const { config, serverId, log, rootFolder } = options;
  const clock = systemClock;
  const folder = serverFolder(rootFolder, config.dataFolder, serverId);
  requireNotFenced(folder);
  const opened = await openStore({ config, serverId, rootFolder, log, clock, random: systemRandom });
  try {
    await requireNoSuccessor(options, opened.term, folder);
    return await serve(options, server, opened);
  } catch (thrown) {
    await opened.store.close();
    throw thrown;
  }
}

/** @throws PlatformError COORDINATOR_FENCED when the checkpointer was promoted while this coordinator was away */
async function requireNoSuccessor(options: ServerOptions, term: number, folder: string): Promise<void> {
  const { checkpointer } = options.config.coordinator;
  if (checkpointer === undefined || checkpointer.id === options.serverId) return;
  const successor = await successorTerm(checkpointer.admin);
  if (successor !== undefined && successor > term) fence(folder, successor, `${checkpointer.id} was promoted`);
  requireNotFenced(folder);
}

function fence(folder: string, term: number, reason: string): void {
  markFenced(folder, { term, at: new Date(systemClock.wallMs()).toISOString(), reason });
}

/** Ends the process, with nothing in between. */
function fenceNow(folder: string, term: number, reason: string): void {
  fence(folder, term, reason);
  systemClock.atEndOfTick(() => requireNotFenced(folder));
}

function watchSuccessor({ config, serverId }: ServerOptions, term: number, folder: string): SuccessorWatch | undefined {
  const { checkpointer } = config.coordinator;
  if (checkpointer === undefined || checkpointer.id === serverId) return undefined;
  return new SuccessorWatch({
    clock: systemClock,
    term,
    ask: () => successorTerm(checkpointer.admin),
    onSuccessor: (later) => fenceNow(folder, later, `${checkpointer.id} was promoted`),
  });
}

async function serve(
  options: ServerOptions,
  addresses: { readonly listen: string; readonly admin: string },
  opened: OpenedStore,
): Promise<RunningServer> {
  const { store, leadership, term } = opened;
  const { config, serverId, log, token, configFile, rootFolder } = options;
  const clock = systemClock;
  const folder = serverFolder(rootFolder, config.dataFolder, serverId);
  const startedAtMs = clock.nowMs();
  const stateFile = publishedStatePath(rootFolder, config.dataFolder, serverId);
  const publisher = new StatePublisher({
    keeper: new ParkPublication({ store, file: new PublishedStateFile(stateFile, parsePublication), log }),
    term,
    log,
    clock,
    onPublished: (state) => {
      pipeline.publish(state);
      access.setClients(state.config.coordinator.parkClients);
    },
  });
  const access = new ParkAccess(token, rootFolder, log);
  access.setClients(config.coordinator.parkClients);
  const history = new ConfigHistory({ store, log, wallMs: () => clock.wallMs() });
  const members = new MemberNodes({ store, log, clock });
  const feed = opened.journal === undefined ? undefined : new JournalFeed({ store: opened.journal, clock, log });
  const pipeline = new CoordinatorPipeline({
    publisher,
    history: { published: (state) => void (leadership.leading && history.published(state)) },
    memberNodes: members,
    feed,
    park: new ParkLinkService({ store, log, clock }),
    onFenced: (later, by) => fenceNow(folder, later, `${by} follows a later one`),
    log,
    clock,
  });
  const { cluster } = config;
  const parts = { store, leadership, publisher, pipeline, history, members };
  const controllers = new Controllers({ ...parts, cluster, log, clock });
  const listener = new LinkListener({
    address: addresses.listen,
    identity: { cluster, token, role: 'coordinator', serverId, incarnation: makeIncarnation(systemRandom) },
    acceptRoles: ['interface', 'dispatcher', 'app', 'tool', 'coordinator'],
    settings: linkSettingsOf(config),
    handlers: pipeline.linkHandlers,
    log,
  });
  const listen = await listener.listen();
  const watcher = new ConfigWatcher({
    file: configFile,
    onConfig: (edited, text) => controllers.offerConfig(edited, text),
    onProblems: (problems) => pipeline.refuseConfig('CONFIG_INVALID', formatConfigProblems(problems).split('\n')),
    log,
  });
  try {
    controllers.offerConfig(config);
    await controllers.start();
    const admin = await startAdminServer({
      address: addresses.admin,
      serverId,
      tier: 'coordinator',
      token,
      metrics: coordinatorMetrics(serverId, publisher, pipeline, store),
      ready: () => readiness(publisher, store),
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
          leader: leadership.leaderId,
          term,
          promoted: serverId === config.coordinator.checkpointer?.id,
          park: store.status(),
          nowMs: clock.nowMs(),
        }),
      routes: parkRoutes({ store, access, clock }),
      actions: {
        ...operatorActions({ publisher, leadership, member: (id) => pipeline.members.get(id), log }),
        ...(opened.journal === undefined ? {} : { snapshot: snapshotAction(opened.journal) }),
      },
    });
    const ticker = clock.every(EXPIRE_EVERY_MS, () => pipeline.onTick());
    const successor = watchSuccessor(options, term, folder);
    watcher.start();
    return {
      serverId,
      tier: 'coordinator',
      listen,
      admin: admin.address,
      stop: async () => {
        watcher.close();
        ticker.cancel();
        successor?.close();
        listener.close();
        admin.close();
        await controllers.close();
        await publisher.close();
        await store.close();
      },
    };
  } catch (thrown) {
    listener.close();
    await controllers.close();
    throw thrown;
  }
}

function snapshotAction(store: JournalStore): AdminAction {
  return async () => ({ records: await store.snapshot() });
}

function readiness(publisher: StatePublisher, store: ParkStore): { ready: boolean; reasons: string[] } {
  const reasons = [publisher.writeFailure, store.status().writeFailure].filter((reason) => reason !== '');
  if (publisher.state === undefined) reasons.push('nothing is published yet');
  return { ready: reasons.length === 0, reasons };
}

function coordinatorMetrics(
  serverId: string,
  publisher: StatePublisher,
  pipeline: CoordinatorPipeline,
  store: ParkStore,
): Metrics {
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
  metrics.gauge('trunkline_park_revision', 'Revision of the park', () => store.status().revision);
  metrics.gauge('trunkline_park_nodes', 'Nodes in the park', () => store.status().nodes);
  metrics.gauge('trunkline_park_sessions', 'Sessions of the park that live', () => store.status().sessions);
  metrics.gauge('trunkline_park_watches', 'Watches on the park', () => store.status().watches);
  metrics.gauge('trunkline_park_refuses_writes', '1 while the park takes no writes', () =>
    store.status().writeFailure === '' ? 0 : 1,
  );
  return metrics;
}
