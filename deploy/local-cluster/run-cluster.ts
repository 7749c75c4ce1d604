/** The cluster of `trunkline up`, at a terminal: starts it, prints what there is to know, ends with the signals. */
import path from 'node:path';
import { systemClock } from '../../shared/clock.ts';
import { clusterServers } from '../../shared/cluster-servers.ts';
import type { LogLevel } from '../../shared/log.ts';
import { CHECKOUT_FOLDER } from '../cli/checkout.ts';
import { type ReadConfig, readConfig } from '../cli/read-config.ts';
import { type TableRow, tableText, thingsToTry } from './cluster-text.ts';
import { startLocalCluster } from './local-cluster.ts';
import type { MariadbSet } from './mariadb-set.ts';
import { untilReady } from './readiness.ts';
import { startSingleProcessCluster } from './single-process-cluster.ts';

export interface RunClusterOptions {
  readonly config?: string;
  readonly singleProcess?: true;
  /** MariaDB servers first, one for each MySQL replica on this machine. */
  readonly mariadb?: true;
  readonly logLevel: LogLevel;
}

const LOCAL_MARIADB = path.join(CHECKOUT_FOLDER, 'deploy/clusters/local-mariadb.yaml');

/** The table is printed when all is ready, at the latest after this time: people are promised 5 s. */
const TABLE_WITHIN_MS = 4_000;
/** Then there is no more waiting for 'ready'; the log says what is missing. */
const READY_WITHIN_MS = 60_000;
/** `npm start` passes a terminal's Ctrl-C on, so one press arrives twice, a moment apart. */
const SAME_PRESS_MS = 300;
const LOOK_FOR_NPM_MS = 500;
const LOOK_AT_STATES_MS = 20;
/** A stop that takes longer is cut short: people are promised 3 s. */
const SINGLE_PROCESS_STOP_MS = 2_750;

/** A cluster as this file needs it, whether of processes or in this one. */
interface RunningCluster {
  rows(): TableRow[];
  readonly publicAddresses: readonly string[];
  readonly logs: string;
  readonly goesOn: () => boolean;
  readonly ended: Promise<number>;
  stop(): void;
  stopNow(): void;
}

/** @returns the exit code, when everything has stopped */
export async function runCluster(options: RunClusterOptions): Promise<number> {
  const read = await readConfig(options.config ?? (options.mariadb === true ? LOCAL_MARIADB : undefined));
  const databases = options.mariadb === true ? await startDatabases(read) : undefined;
  try {
    return await runServers(read, options, databases);
  } finally {
    await databases?.stop();
  }
}

/** M1 of mariadb-set.ts. Ctrl-C meanwhile ends this process, and its guard the servers. */
async function startDatabases({ config }: ReadConfig): Promise<MariadbSet> {
  const { startMariadbSet } = await import('./mariadb-set.ts');
  return await startMariadbSet({ config, rootFolder: CHECKOUT_FOLDER, clock: systemClock, say: print });
}

async function runServers(
  read: ReadConfig,
  options: RunClusterOptions,
  databases: MariadbSet | undefined,
): Promise<number> {
  const startedAtMs = systemClock.nowMs();
  const cluster =
    options.singleProcess === true ? await inThisProcess(read, options) : await inProcesses(read, options);
  stopWithNpm(stopOnSignals(cluster));
  const seconds = (): string => ((systemClock.nowMs() - startedAtMs) / 1000).toFixed(1);
  const timeLeftMs = TABLE_WITHIN_MS - (systemClock.nowMs() - startedAtMs);
  const ready = await untilReady(cluster.publicAddresses, timeLeftMs, cluster.goesOn);
  await untilAllUp(cluster, startedAtMs + TABLE_WITHIN_MS);
  if (cluster.goesOn()) {
    print(`Cluster ${read.config.cluster} is ${ready ? `ready after ${seconds()} s` : 'starting'}\n`);
    print(`${tableText([...cluster.rows(), ...databaseRows(databases)])}\n`);
    print(`Try:\n${thingsToTry(cluster.publicAddresses[0] ?? '')}\n`);
    print(`Logs: ${cluster.logs}   Stop: Ctrl-C`);
  }
  if (!ready && (await untilReady(cluster.publicAddresses, READY_WITHIN_MS, cluster.goesOn))) {
    print(`ready after ${seconds()} s`);
  } else if (!ready && cluster.goesOn()) {
    print(`not ready after ${seconds()} s: see the logs`);
  }
  return await keepAliveUntil(cluster.ended);
}

function databaseRows(databases: MariadbSet | undefined): TableRow[] {
  return (databases?.views() ?? []).map(({ replicaId, groupId, address, state }) => ({
    serverId: replicaId,
    tier: 'mariadb',
    group: groupId,
    listen: address,
    admin: '',
    state,
  }));
}

/** Requests flow before the last server is up: the table should still show a whole cluster. */
async function untilAllUp(cluster: RunningCluster, giveUpAtMs: number): Promise<void> {
  const allUp = (): boolean => cluster.rows().every(({ state }) => state === STATE_WORDS.up);
  while (!allUp() && cluster.goesOn() && systemClock.nowMs() < giveUpAtMs) await systemClock.sleep(LOOK_AT_STATES_MS);
}

async function inProcesses({ config, file }: ReadConfig, options: RunClusterOptions): Promise<RunningCluster> {
  const { logLevel } = options;
  const rootFolder = CHECKOUT_FOLDER;
  const cluster = await startLocalCluster({ config, configFile: file, rootFolder, logLevel, say: print });
  return {
    rows: () =>
      cluster.servers().map((server) => ({ ...server, group: server.groupId ?? '', state: STATE_WORDS[server.phase] })),
    publicAddresses: cluster.publicAddresses(),
    logs: path.relative(process.cwd(), path.join(cluster.dataFolder, 'logs', '<server>.log')),
    goesOn: () => cluster.running,
    ended: cluster.ended,
    stop: () => void cluster.stop().catch(crash),
    stopNow: () => void cluster.stopNow().catch(crash),
  };
}

const STATE_WORDS = { starting: 'starting', up: 'up', resting: 'restarting', stopping: 'stopping', gone: 'stopped' };

async function inThisProcess({ config, file }: ReadConfig, options: RunClusterOptions): Promise<RunningCluster> {
  const { logLevel } = options;
  const rootFolder = CHECKOUT_FOLDER;
  const cluster = await startSingleProcessCluster({ config, configFile: file, rootFolder, logLevel });
  const ended = Promise.withResolvers<number>();
  let stopping = false;
  const groupOf = new Map(clusterServers(config).map((server) => [server.serverId, server.groupId ?? '']));
  return {
    rows: () =>
      cluster.servers.map((server) => ({ ...server, group: groupOf.get(server.serverId) ?? '', state: 'up' })),
    publicAddresses: config.interface.servers.map((server) => server.listen),
    logs: path.relative(process.cwd(), cluster.logFile),
    goesOn: () => !stopping,
    ended: ended.promise,
    stop: () => {
      stopping = true;
      systemClock.after(SINGLE_PROCESS_STOP_MS, () => process.exit(1));
      cluster.stop().then(() => ended.resolve(0), crash);
    },
    stopNow: () => process.exit(130),
  };
}

/** First signal: drain and stop. Another one, later than the echo of the first: at once. @returns what a signal does */
function stopOnSignals(cluster: RunningCluster): () => void {
  let firstAtMs: number | undefined;
  const onSignal = (): void => {
    const nowMs = systemClock.nowMs();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      print('stopping (again: at once)');
      cluster.stop();
    } else if (nowMs - firstAtMs > SAME_PRESS_MS) {
      cluster.stopNow();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return onSignal;
}

/** When npm started this process and was killed, nobody is left to stop it: its end is taken for a signal. */
function stopWithNpm(stop: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const npm = process.ppid;
  const watch = systemClock.every(LOOK_FOR_NPM_MS, () => {
    if (process.ppid === npm) return;
    watch.cancel();
    stop();
  });
}

/** While every server rests between two starts nothing else would keep this process alive. */
async function keepAliveUntil(ended: Promise<number>): Promise<number> {
  let exitCode: number | undefined;
  ended.then((code) => {
    exitCode = code;
  }, crash);
  while (exitCode === undefined) await Promise.race([ended, systemClock.sleep(1_000)]);
  return exitCode;
}

function crash(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
