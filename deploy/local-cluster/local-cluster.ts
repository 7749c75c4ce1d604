/**
 * A whole cluster on this machine, every server a child process: started, supervised, logged and stopped.
 * What is done about a server's death is decided in supervisor-state.ts; this file performs it.
 *
 * L1: one cluster at a time on a data folder (data-folder-lock.ts).
 * L2: no child outlives this process for long: each holds an IPC channel and stops when that closes (server-main.ts).
 */
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, systemClock, type TimerHandle } from '../../shared/clock.ts';
import { type ClusterServer, clusterServers } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { ensureSecretFile } from '../../shared/config/secret.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { LogLevel } from '../../shared/log.ts';
import type { Tier } from '../../shared/server-process.ts';
import { ChildServer } from './child-server.ts';
import { DataFolderLock } from './data-folder-lock.ts';
import { requireDataInPlace } from './data-in-place.ts';
import { requireFreePorts } from './free-ports.ts';
import { untilReady } from './readiness.ts';
import { ServerLog } from './server-log.ts';
import {
  nextWakeAtMs,
  type ServerPhase,
  type SupervisorEffect,
  type SupervisorEvent,
  type SupervisorState,
  type SupervisorStep,
  startSupervisor,
  stepSupervisor,
} from './supervisor-state.ts';

export interface LocalClusterOptions {
  readonly config: ClusterConfig;
  /** Absolute path of what `dataFolder` and `services` are relative to. Default: the checkout. */
  readonly rootFolder?: string;
  /** The file the servers read. Default: `config`, written to `<dataFolder>/cluster.json` (JSON is YAML). */
  readonly configFile?: string;
  readonly logLevel?: LogLevel;
  /** Told, one line each, what happens to the servers. */
  readonly say?: (line: string) => void;
  /** What Node runs for a server of a tier: a file, and arguments before the usual ones. Default: `<tier>/main.ts`. */
  readonly programOf?: (tier: Tier) => readonly string[];
  readonly clock?: Clock;
}

export interface ServerView extends ClusterServer {
  readonly phase: ServerPhase['kind'];
  readonly pid: number | undefined;
}

const CHECKOUT = path.resolve(import.meta.dirname, '../..');
const TRIM_LOGS_EVERY_MS = 5_000;
/** A cluster whose parent was killed leaves its ports within this time. */
const STALE_CLUSTER_ENDS_MS = 4_000;

/**
 * Starts every server of a config. Returns as soon as the processes are spawned: await `waitReady()` before using it.
 * @throws PlatformError PORT_TAKEN, USAGE (a cluster already runs on the data folder), CONFIG_MOVES_DATA,
 *   CONFIG_INVALID (token)
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const rootFolder = options.rootFolder ?? CHECKOUT;
  const clock = options.clock ?? systemClock;
  const dataFolder = path.resolve(rootFolder, options.config.dataFolder);
  const lock = DataFolderLock.take(dataFolder); // L1
  try {
    requireDataInPlace(options.config, rootFolder);
    ensureSecretFile(options.config.token, rootFolder);
    const giveUpAtMs = clock.nowMs() + (lock.foundStale ? STALE_CLUSTER_ENDS_MS : 0);
    await waitForFreePorts(clusterServers(options.config), giveUpAtMs, clock);
    const configFile = options.configFile ?? path.join(dataFolder, 'cluster.json');
    if (options.configFile === undefined) fs.writeFileSync(configFile, `${JSON.stringify(options.config, null, 2)}\n`);
    return new LocalCluster({ ...options, rootFolder, configFile, clock }, dataFolder, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function waitForFreePorts(servers: readonly ClusterServer[], giveUpAtMs: number, clock: Clock): Promise<void> {
  for (;;) {
    try {
      return await requireFreePorts(servers);
    } catch (error) {
      if (clock.nowMs() >= giveUpAtMs) throw error;
    }
    await clock.sleep(100);
  }
}

type CompleteOptions = LocalClusterOptions & { rootFolder: string; configFile: string; clock: Clock };

export class LocalCluster {
  readonly dataFolder: string;
  readonly configFile: string;
  /** Exit code of the whole, once every server is gone. */
  readonly ended: Promise<number>;
  readonly #options: CompleteOptions;
  readonly #lock: DataFolderLock;
  readonly #servers: ReadonlyMap<string, ClusterServer>;
  readonly #logs = new Map<string, ServerLog>();
  readonly #children = new Map<string, ChildServer>();
  readonly #trimTimer: TimerHandle;
  #state: SupervisorState;
  #wake: TimerHandle | undefined;
  #resolveEnded: (exitCode: number) => void = () => {};
  #lastWords = '';

  /** Use startLocalCluster(). */
  constructor(options: CompleteOptions, dataFolder: string, lock: DataFolderLock) {
    this.#options = options;
    this.#lock = lock;
    this.dataFolder = dataFolder;
    this.configFile = options.configFile;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const servers = clusterServers(options.config);
    this.#servers = new Map(servers.map((server) => [server.serverId, server]));
    for (const { serverId } of servers) this.#logs.set(serverId, new ServerLog(this.logFile(serverId)));
    this.#trimTimer = options.clock.every(TRIM_LOGS_EVERY_MS, () => {
      for (const log of this.#logs.values()) log.trim();
    });
    const first = startSupervisor(servers, options.clock.nowMs());
    this.#state = first.state;
    this.#perform(first);
  }

  /** false once a stop has begun, whoever asked for it. */
  get running(): boolean {
    return this.#state.phase.kind === 'running';
  }

  servers(): ServerView[] {
    return this.#state.servers.flatMap(({ serverId, phase }) => {
      const server = this.#servers.get(serverId);
      return server === undefined ? [] : [{ ...server, phase: phase.kind, pid: this.pid(serverId) }];
    });
  }

  /** Addresses clients use. */
  publicAddresses(): string[] {
    return this.#options.config.interface.servers.map((server) => server.listen);
  }

  /** undefined while the server is not running. */
  pid(serverId: string): number | undefined {
    return this.#children.get(serverId)?.pid;
  }

  logFile(serverId: string): string {
    return path.join(this.dataFolder, 'logs', `${serverId}.log`);
  }

  /** @returns false when the server was not running */
  kill(serverId: string, signal: NodeJS.Signals = 'SIGKILL'): boolean {
    if (this.pid(serverId) === undefined) return false;
    this.#children.get(serverId)?.kill(signal);
    return true;
  }

  /** @throws PlatformError NOT_READY when the interface servers do not all say they are ready in time */
  async waitReady(timeoutMs = 15_000): Promise<void> {
    if (await untilReady(this.publicAddresses(), timeoutMs, () => this.running, this.#options.clock)) return;
    const views = this.servers().map(({ serverId, phase }) => `${serverId} ${phase}`);
    const detail = `expected every interface server ready within ${timeoutMs} ms, got ${views.join(', ')}. ${this.#lastWords}`;
    throw new PlatformError('NOT_READY', detail.trim());
  }

  /** Drains and stops every server, front tier first. @returns the exit code */
  stop(): Promise<number> {
    this.#take({ kind: 'stop' });
    return this.ended;
  }

  /** SIGKILL to all. */
  stopNow(): Promise<number> {
    this.#take({ kind: 'stop-now' });
    return this.ended;
  }

  #take(event: SupervisorEvent): void {
    const step = stepSupervisor(this.#state, event, this.#options.clock.nowMs());
    const wasStopped = this.#state.phase.kind === 'stopped';
    this.#state = step.state;
    this.#perform(step);
    if (step.state.phase.kind === 'stopped' && !wasStopped) this.#finish(step.state.phase.exitCode);
  }

  #perform(step: SupervisorStep): void {
    for (const effect of step.effects) this.#performOne(effect);
    this.#wake?.cancel();
    this.#wake = undefined;
    const wakeAtMs = nextWakeAtMs(step.state);
    if (wakeAtMs === undefined) return;
    const { clock } = this.#options;
    const delayMs = Math.max(0, wakeAtMs - clock.nowMs()) + 1;
    this.#wake = clock.after(delayMs, () => this.#take({ kind: 'time' }));
  }

  #performOne(effect: SupervisorEffect): void {
    switch (effect.kind) {
      case 'spawn':
        this.#spawn(effect.serverId);
        return;
      case 'signal':
        this.#children.get(effect.serverId)?.kill(effect.signal);
        return;
      case 'say':
        this.#lastWords = effect.line;
        this.#options.say?.(effect.line);
    }
  }

  #spawn(serverId: string): void {
    const server = this.#servers.get(serverId);
    const log = this.#logs.get(serverId);
    if (server === undefined || log === undefined) return;
    const { config, configFile, rootFolder, logLevel, programOf } = this.#options;
    const program = programOf?.(server.tier) ?? [path.join(CHECKOUT, TIER_FOLDERS[server.tier], 'main.ts')];
    const args = [...program, '--config', configFile, '--id', serverId, '--root', rootFolder];
    args.push('--data', config.dataFolder); // the file may not say it any more when the server starts again
    if (logLevel !== undefined) args.push('--log-level', logLevel);
    // L2: ChildServer opens the channel.
    const child = new ChildServer({
      args,
      logFd: log.fd,
      onListening: () => this.#take({ kind: 'listening', serverId }),
      onExit: (exit) => this.#take({ kind: 'exited', serverId, ...exit }),
    });
    this.#children.set(serverId, child);
  }

  #finish(exitCode: number): void {
    this.#trimTimer.cancel();
    for (const log of this.#logs.values()) log.close();
    this.#lock.release();
    this.#resolveEnded(exitCode);
  }
}

const TIER_FOLDERS: Readonly<Record<Tier, string>> = {
  coordinator: 'coordinator-server',
  app: 'app-server',
  dispatcher: 'dispatcher-server',
  interface: 'interface-server',
};
