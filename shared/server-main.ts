/**
 * Life of a server's process, the same for every tier: arguments, config, token, log, start, signals, exit code.
 * Whoever started it may hold an IPC channel: it is told what came of the start, and its death stops this process.
 *
 * M1: a stop ends in an exit, at the latest `limits.drainMs` + 1 s after it was asked for.
 * M2: with an IPC parent, the terminal's SIGINT and SIGHUP are the parent's to act on: it stops servers in order.
 * M3: an error nobody caught ends the process; starting again and recovering is the tested path.
 * M4: a config file that the coordinator would refuse keeps no server from starting again: it starts from the config
 *     that was published last, and says so.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from './clock.ts';
import { clusterServers } from './cluster-servers.ts';
import { type ClusterConfig, clusterSchema } from './config/cluster-schema.ts';
import { formatConfigProblems, readClusterConfigFile } from './config/load-cluster-config.ts';
import { readSecret } from './config/secret.ts';
import { chooseStartConfig, stateAsFound } from './config/start-config.ts';
import { type ErrorCode, PlatformError, toPlatformError } from './errors.ts';
import { collectWhenIdle } from './idle-memory.ts';
import { createLogger, type Logger, type LogLevel } from './log.ts';
import type { PublishedState } from './published-state.ts';
import { PublishedStateFile, publishedStatePath } from './published-state-file.ts';
import { parsePublishedState } from './published-state-schema.ts';
import type { RunningServer, StartServer, Tier } from './server-process.ts';

/** What a server's process tells its IPC parent. */
export type ServerMessage =
  | { readonly type: 'listening'; readonly listen: string; readonly admin: string }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly detail: string };

export const EXIT_CODES = {
  stopped: 0,
  crashed: 1,
  /** What a person wrote is wrong (arguments, config, a service): starting again would not help. */
  configInvalid: 2,
  portTaken: 3,
  /** A second signal came while stopping. */
  cutShort: 130,
} as const;

const LOG_LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** A drain gets this much longer than it was promised before the process ends anyway. */
const STOP_GRACE_MS = 1_000;

const USAGE = 'expected --config FILE --id SERVER_ID [--root FOLDER] [--data FOLDER] [--log-level LEVEL]';

/** Where the published state is looked for when neither the arguments nor the file say it. */
const DATA_FOLDER_DEFAULT = clusterSchema.shape.dataFolder.parse(undefined);

interface ServerArguments {
  readonly configFile: string;
  readonly serverId: string;
  readonly rootFolder: string;
  /** Relative to `rootFolder`, like `dataFolder` of the config, which says it otherwise. */
  readonly dataFolder: string | undefined;
  readonly logLevel: LogLevel;
}

/** The published state in what a tier keeps on disk. Throws when that has another shape. */
type ParseKeptState = (kept: unknown) => PublishedState;

/** Runs one server until it is told to stop. Never returns normally: the process exits with one of EXIT_CODES. */
export async function runServerProcess(
  tier: Tier,
  start: StartServer,
  parseKept: ParseKeptState = parsePublishedState,
): Promise<void> {
  let log: Logger = createLogger({ tier });
  const onFatal = (thrown: unknown): never => {
    log.fatal({ err: thrown }, 'nobody caught this error: the process ends');
    process.exit(EXIT_CODES.crashed); // M3
  };
  process.on('uncaughtException', onFatal);
  // An app server runs code of others: what its handlers forgot to await is logged (app-server/rejection-guard.ts).
  if (tier !== 'app') process.on('unhandledRejection', onFatal);
  const life = new ServerLife();
  life.watchSignals();
  try {
    const args = readArguments(process.argv.slice(2));
    log = createLogger({ tier, serverId: args.serverId, level: args.logLevel });
    life.log = log;
    const config = await loadConfig(args, parseKept, log);
    requireServer(config, tier, args.serverId);
    life.drainMs = config.limits.drainMs;
    const { configFile, serverId, rootFolder } = args;
    const token = readSecret(config.token, rootFolder);
    const server = await start({ config, serverId, token, rootFolder, configFile, log });
    life.server = server;
    collectWhenIdle();
    log.info({ listen: server.listen, admin: server.admin, pid: process.pid }, 'listening');
    tellParent({ type: 'listening', listen: server.listen, admin: server.admin });
  } catch (thrown) {
    exitAfterFailedStart(thrown, log);
  }
}

/** What is left of the process's life: set up in steps, ended by whichever signal comes first. */
class ServerLife {
  server: RunningServer | undefined;
  log: Logger | undefined;
  drainMs = 0;
  #stopping = false;

  watchSignals(): void {
    process.on('SIGTERM', () => this.#onSignal('SIGTERM'));
    for (const signal of ['SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (!process.connected) this.#onSignal(signal); // M2
      });
    }
    const onDisconnect = (): void => this.#onSignal('the process that started this one ended');
    process.on('disconnect', onDisconnect);
    if (process.send !== undefined && !process.connected) onDisconnect(); // it ended while this one was loading
  }

  #onSignal(reason: string): void {
    if (this.#stopping) {
      // The parent's end after its own SIGTERM is no second request.
      if (reason.startsWith('SIG')) process.exit(EXIT_CODES.cutShort);
      return;
    }
    this.#stopping = true;
    this.log?.info({ reason }, 'stopping');
    if (this.server === undefined) process.exit(EXIT_CODES.stopped); // nothing was promised to anybody yet
    systemClock.after(this.drainMs + STOP_GRACE_MS, () => {
      this.log?.error({ drainMs: this.drainMs }, 'still not stopped: the process ends anyway');
      process.exit(EXIT_CODES.crashed); // M1
    });
    this.server.stop().then(
      () => {
        this.log?.info('stopped');
        process.exit(EXIT_CODES.stopped);
      },
      (thrown: unknown) => {
        this.log?.error({ err: thrown }, 'stopping failed');
        process.exit(EXIT_CODES.crashed);
      },
    );
  }
}

function readArguments(argv: readonly string[]): ServerArguments {
  const options = {
    config: { type: 'string' },
    id: { type: 'string' },
    root: { type: 'string', default: process.cwd() },
    data: { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  } as const;
  const parse = () => parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  let values: ReturnType<typeof parse>;
  try {
    values = parse();
  } catch (thrown) {
    throw new PlatformError('USAGE', `${toPlatformError(thrown).detail}; ${USAGE}`);
  }
  const { config, id, root, data: dataFolder } = values;
  const logLevel = LOG_LEVELS.find((level) => level === values['log-level']);
  if (config === undefined || id === undefined) throw new PlatformError('USAGE', `${USAGE}, got ${argv.join(' ')}`);
  if (logLevel === undefined) {
    throw new PlatformError(
      'USAGE',
      `--log-level: expected one of ${LOG_LEVELS.join(', ')}, got ${values['log-level']}`,
    );
  }
  return { configFile: path.resolve(config), serverId: id, rootFolder: path.resolve(root), dataFolder, logLevel };
}

/** @throws PlatformError CONFIG_INVALID when there is none to start from */
async function loadConfig(args: ServerArguments, parseKept: ParseKeptState, log: Logger): Promise<ClusterConfig> {
  const { configFile, rootFolder, serverId } = args;
  const file = await readClusterConfigFile(configFile);
  const dataFolder = args.dataFolder ?? (file.ok ? file.config.dataFolder : DATA_FOLDER_DEFAULT);
  const stateFile = publishedStatePath(rootFolder, dataFolder, serverId);
  const kept = new PublishedStateFile(stateFile, parseKept).peek();
  const state = 'value' in kept ? stateAsFound(kept.value, dataFolder, rootFolder) : undefined;
  const start = chooseStartConfig(file, state);
  switch (start.kind) {
    case 'file':
      return start.config;
    case 'published': {
      const { code, reasons } = start;
      log.warn(
        { configFile, code, reasons, stateFile, epoch: state?.epoch },
        'config file refused; starting from the config that was published last',
      ); // M4
      return start.config;
    }
    case 'none': {
      const why = 'reason' in kept ? kept.reason : `${stateFile} is not there (--data FOLDER says where else)`;
      const detail = `${formatConfigProblems(start.problems)}\nNo published config to start from instead: ${why}`;
      throw new PlatformError('CONFIG_INVALID', detail);
    }
  }
}

function requireServer(config: ClusterConfig, tier: Tier, serverId: string): void {
  const ids = clusterServers(config)
    .filter((server) => server.tier === tier)
    .map((server) => server.serverId);
  if (ids.includes(serverId)) return;
  throw new PlatformError(
    'USAGE',
    `--id: expected ${tier} server of this cluster (${ids.join(', ')}), got ${serverId}`,
  );
}

function exitAfterFailedStart(thrown: unknown, log: Logger): never {
  const error = toPlatformError(thrown);
  const exitCode = exitCodeOfFailedStart(error.code);
  if (exitCode === EXIT_CODES.crashed) log.fatal({ err: thrown }, 'start failed');
  else process.stderr.write(`${error.detail}\n`);
  tellParent({ type: 'failed', code: error.code, detail: error.detail }, () => process.exit(exitCode));
  // The message leaves in a later tick; without a parent there is none to wait for.
  if (!process.connected) process.exit(exitCode);
  return undefined as never;
}

const START_AGAIN_WOULD_NOT_HELP: ReadonlySet<ErrorCode> = new Set([
  'CONFIG_INVALID',
  'SERVICE_INVALID',
  'USAGE',
  'COORDINATOR_FENCED',
  'JOURNAL_CORRUPT',
]);

export function exitCodeOfFailedStart(code: ErrorCode): number {
  if (code === 'PORT_TAKEN') return EXIT_CODES.portTaken;
  if (START_AGAIN_WOULD_NOT_HELP.has(code)) return EXIT_CODES.configInvalid;
  return EXIT_CODES.crashed;
}

function tellParent(message: ServerMessage, afterwards: () => void = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, afterwards);
}
