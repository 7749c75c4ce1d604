/**
 * Starts a checkpointer: it follows the coordinator's journal until it is promoted, and is the coordinator from then on,
 * after restarts too.
 */
import { type AdminAction, startAdminServer } from '../../shared/admin-server.ts';
import { systemClock } from '../../shared/clock.ts';
import type { ServerConfig } from '../../shared/config/cluster-schema.ts';
import { PlatformError } from '../../shared/errors.ts';
import { makeIncarnation } from '../../shared/ids.ts';
import { linkSettingsOf } from '../../shared/link/link-settings.ts';
import { Metrics } from '../../shared/metrics.ts';
import { systemRandom } from '../../shared/random.ts';
import type { RunningServer, ServerOptions, StartServer } from '../../shared/server-process.ts';
import { VERSION } from '../../shared/version.ts';
import { journalFolder } from '../open-store.ts';
import { CoordinatorLink } from './coordinator-link.ts';
import { JournalFollow } from './journal-follow.ts';
import { isPromoted, markPromoted, serverFolder } from './succession.ts';

/** Shortly after the answer to the order that made it so. */
const PROMOTED_AFTER_MS = 50;

/** @param startCoordinator what it becomes when it is promoted */
export async function startCheckpointer(
  options: ServerOptions,
  addresses: ServerConfig,
  startCoordinator: StartServer,
): Promise<RunningServer> {
  const { config, serverId, rootFolder, log } = options;
  const folder = serverFolder(rootFolder, config.dataFolder, serverId);
  if (isPromoted(folder)) return await startCoordinator(options);
  const checkpointer = new Checkpointer(options, addresses, folder, startCoordinator);
  await checkpointer.start();
  log.info({ follows: config.coordinator.servers.map(({ id }) => id) }, 'checkpointer started');
  return checkpointer;
}

class Checkpointer implements RunningServer {
  readonly serverId: string;
  readonly tier = 'coordinator';
  readonly listen: string;
  admin = '';
  readonly #options: ServerOptions;
  readonly #addresses: ServerConfig;
  readonly #folder: string;
  readonly #startCoordinator: StartServer;
  readonly #link: CoordinatorLink;
  readonly #startedAtMs = systemClock.nowMs();
  #follow: JournalFollow | undefined;
  #adminServer: { readonly address: string; close(): void } | undefined;
  /** Once it is promoted. */
  #coordinator: Promise<RunningServer> | undefined;

  constructor(options: ServerOptions, addresses: ServerConfig, folder: string, startCoordinator: StartServer) {
    const { config, serverId, token, log } = options;
    this.serverId = serverId;
    this.listen = addresses.listen;
    this.#options = options;
    this.#addresses = addresses;
    this.#folder = folder;
    this.#startCoordinator = startCoordinator;
    const incarnation = makeIncarnation(systemRandom);
    this.#link = new CoordinatorLink({
      address: config.coordinator.servers[0]?.listen ?? '',
      identity: { cluster: config.cluster, token, role: 'coordinator', serverId, incarnation },
      settings: linkSettingsOf(config),
      log,
    });
  }

  async start(): Promise<void> {
    const { config, serverId, token, rootFolder, log } = this.#options;
    this.#follow = await JournalFollow.open({
      folder: journalFolder(rootFolder, config.dataFolder, serverId),
      clock: systemClock,
      random: systemRandom,
      log,
      ask: (request, bytes) => this.#link.ask(request, bytes),
    });
    this.#adminServer = await startAdminServer({
      address: this.#addresses.admin,
      serverId,
      tier: 'coordinator',
      token,
      metrics: new Metrics({ serverId, tier: 'coordinator' }),
      ready: () => this.#ready(),
      status: () => this.#status(),
      actions: {
        ...this.#ordersOfACoordinator(),
        promote: async () => await this.#promote(),
        snapshot: async () => ({ records: await this.#required().snapshot() }),
      },
    });
    this.admin = this.#adminServer.address;
    this.#link.start();
    this.#follow.start();
  }

  async stop(): Promise<void> {
    this.#adminServer?.close();
    this.#link.close();
    if (this.#coordinator !== undefined) await (await this.#coordinator).stop();
    else await this.#follow?.close();
  }

  /** Whoever looks for a coordinator here is told that this is none. */
  #ordersOfACoordinator(): Record<string, AdminAction> {
    const refuse = (): Promise<never> => {
      const detail = `expected a coordinator, ${this.serverId} is the checkpointer: \`trunkline coordinator promote\` makes it one`;
      return Promise.reject(new PlatformError('NOT_LEADER', detail));
    };
    return Object.fromEntries(['drain', 'maint', 'ready', 'service'].map((name) => [name, refuse]));
  }

  #required(): JournalFollow {
    if (this.#follow !== undefined && this.#coordinator === undefined) return this.#follow;
    throw new PlatformError('NOT_READY', 'expected a checkpointer, it was promoted');
  }

  #ready(): { ready: boolean; reasons: string[] } {
    const state = this.#required().state;
    if (state.kind === 'following') return { ready: true, reasons: [] };
    const reason = 'reason' in state ? state.reason : 'it begins with the coordinator’s snapshot';
    return { ready: false, reasons: [reason] };
  }

  #status(): unknown {
    return {
      server: this.serverId,
      tier: 'coordinator',
      checkpointer: true,
      promoted: false,
      version: VERSION,
      pid: process.pid,
      uptimeMs: Math.round(systemClock.nowMs() - this.#startedAtMs),
      coordinatorConnected: this.#link.connected,
      ...this.#required().status(),
    };
  }

  /** The answer goes out first; then this process is the coordinator. */
  async #promote(): Promise<{ server: string; term: number }> {
    const { log } = this.#options;
    const term = await this.#required().promote();
    this.#link.close();
    markPromoted(this.#folder, { term, at: new Date(systemClock.wallMs()).toISOString(), reason: 'by order' });
    log.warn({ term }, 'promoted: this is the coordinator from now on');
    this.#coordinator = systemClock.sleep(PROMOTED_AFTER_MS).then(() => {
      this.#adminServer?.close();
      this.#adminServer = undefined;
      return this.#startCoordinator(this.#options);
    });
    this.#coordinator.catch((thrown: unknown) =>
      systemClock.atEndOfTick(() => {
        throw thrown; // the process ends; its next life starts as the coordinator
      }),
    );
    return { server: this.serverId, term };
  }
}
