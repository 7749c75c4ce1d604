/**
 * The MariaDB servers of `up --mariadb`: one for each MySQL replica of a config that is on this machine, each with a data
 * folder of its own under `dataFolder`. Databases and accounts are made as the config names them.
 *
 * M1: all of them answer before the first server of the cluster starts, and they stop after the last.
 * M2: one that dies is started again, after a pause that doubles with every early death up to 5 s: its data is as its
 *     last flush left it, so a kill -9 of it is survived.
 * M3: passwords are in files readable by their owner only, and stand in no message.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Clock, TimerHandle } from '../../shared/clock.ts';
import type { ClusterConfig, MysqlReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { ensureSecretFile, readSecret } from '../../shared/config/secret.ts';
import { PlatformError } from '../../shared/errors.ts';
import { splitAddress } from '../../shared/web-server.ts';
import { findProgram } from '../checks/peer-programs.ts';
import { GuardedProcess } from './guarded-process.ts';
import { ensureMariadbDataFolder } from './mariadb-data-folder.ts';
import { accountsSql, mariadbArguments } from './mariadb-options.ts';
import { LIVED_WELL_MS, RESTART_PAUSE_MS_MAX, RESTART_PAUSE_MS_MIN } from './supervisor-state.ts';

const START_MS_MAX = 60_000;
const LOOK_EVERY_MS = 50;
const LOOK_MS_MAX = 1_000;
/** InnoDB writes what it holds; past that it is killed, and recovers at its next start. */
const STOP_MS_MAX = 8_000;
const LAST_LINES_MAX = 5;

export interface MariadbSetOptions {
  readonly config: ClusterConfig;
  /** Absolute path of what `dataFolder` is relative to. */
  readonly rootFolder: string;
  readonly clock: Clock;
  /** Told, one line each, what happens to them. */
  readonly say: (line: string) => void;
}

export interface MariadbView {
  readonly replicaId: string;
  readonly groupId: string;
  readonly address: string;
  readonly state: 'starting' | 'up' | 'restarting' | 'stopped';
  readonly pid: number | undefined;
}

/** MySQL replicas of a config that are on this machine. */
export function localMysqlReplicas(config: ClusterConfig): { groupId: string; replica: MysqlReplicaConfig }[] {
  return config.groups.flatMap(({ id: groupId, replicas }) =>
    replicas
      .filter((replica) => replica.kind === 'mysql')
      .filter(({ address }) => /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/.test(splitAddress(address).host))
      .map((replica) => ({ groupId, replica })),
  );
}

/**
 * M1.
 * @throws PlatformError USAGE (no MariaDB here, or no such replica in the config), PORT_TAKEN, STORE_UNAVAILABLE with the
 *   end of its log when one does not start
 */
export async function startMariadbSet(options: MariadbSetOptions): Promise<MariadbSet> {
  const program = findProgram('mariadbd');
  if (program === undefined)
    throw new PlatformError(
      'USAGE',
      'Expected MariaDB on this machine, there is none. On Debian: sudo apt-get install --no-install-recommends mariadb-server-core (it starts no service).',
    );
  const wanted = localMysqlReplicas(options.config);
  if (wanted.length === 0)
    throw new PlatformError(
      'USAGE',
      'Expected a config with replicas of kind mysql on 127.0.0.1, there is none: deploy/clusters/local-mariadb.yaml is one.',
    );
  const set = new MariadbSet(options, program, wanted);
  try {
    await set.start();
  } catch (thrown) {
    await set.stop();
    throw thrown;
  }
  return set;
}

export class MariadbSet {
  readonly #servers: readonly SupervisedMariadb[];

  /** Use startMariadbSet(). */
  constructor(
    options: MariadbSetOptions,
    program: string,
    wanted: readonly { groupId: string; replica: MysqlReplicaConfig }[],
  ) {
    this.#servers = wanted.map((one) => new SupervisedMariadb(options, program, one));
  }

  async start(): Promise<void> {
    // One after the other: the first makes a data folder in seconds, and two cores make four of them no faster.
    for (const server of this.#servers) await server.prepare();
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  views(): MariadbView[] {
    return this.#servers.map((server) => server.view());
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}

class SupervisedMariadb {
  readonly #options: MariadbSetOptions;
  readonly #program: string;
  readonly #groupId: string;
  readonly #replica: MysqlReplicaConfig;
  readonly #folder: string;
  readonly #logFile: string;
  #process: GuardedProcess | undefined;
  #state: MariadbView['state'] = 'starting';
  #pauseMs = RESTART_PAUSE_MS_MIN;
  #restart: TimerHandle | undefined;
  #stopping = false;

  constructor(
    options: MariadbSetOptions,
    program: string,
    { groupId, replica }: { readonly groupId: string; readonly replica: MysqlReplicaConfig },
  ) {
    this.#options = options;
    this.#program = program;
    this.#groupId = groupId;
    this.#replica = replica;
    const dataFolder = path.resolve(options.rootFolder, options.config.dataFolder);
    this.#folder = path.join(dataFolder, groupId, replica.id);
    this.#logFile = path.join(dataFolder, 'logs', `${replica.id}.log`);
  }

  view(): MariadbView {
    const { id: replicaId, address } = this.#replica;
    const pid = this.#process?.hasEnded === false ? this.#process.pid : undefined;
    return { replicaId, groupId: this.#groupId, address, state: this.#state, pid };
  }

  async prepare(): Promise<void> {
    const { address, id, writer, reader } = this.#replica;
    if (await answers(address))
      throw new PlatformError('PORT_TAKEN', `Something answers on ${address} already; the MariaDB of ${id} wants it.`);
    await ensureMariadbDataFolder(this.#program, path.join(this.#folder, 'data'));
    fs.mkdirSync(path.dirname(this.#logFile), { recursive: true });
    if (fs.existsSync(this.#logFile)) fs.renameSync(this.#logFile, `${this.#logFile}.1`);
    const passwordOf = ({ password }: MysqlReplicaConfig['writer']): string => {
      ensureSecretFile(password, this.#options.rootFolder);
      return readSecret(password, this.#options.rootFolder);
    };
    const sql = accountsSql(this.#replica, passwordOf(writer), passwordOf(reader ?? writer));
    fs.writeFileSync(this.#accountsFile, sql, { mode: 0o600 }); // M3
  }

  get #accountsFile(): string {
    return path.join(this.#folder, 'accounts.sql');
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const { clock } = this.#options;
    this.#state = 'starting';
    const places = { folder: this.#folder, logFile: this.#logFile, accountsFile: this.#accountsFile };
    const server = await GuardedProcess.start(this.#program, mariadbArguments(this.#replica, places));
    this.#process = server;
    const startedAtMs = clock.nowMs();
    while (!(await answers(this.#replica.address))) {
      if (server.hasEnded || clock.nowMs() - startedAtMs > START_MS_MAX) throw this.#startFailure();
      await clock.sleep(LOOK_EVERY_MS);
    }
    this.#state = 'up';
    void server.ended.then(() => this.#onEnd(clock.nowMs() - startedAtMs));
  }

  /** M2 */
  #onEnd(livedMs: number): void {
    if (this.#stopping) return;
    if (livedMs >= LIVED_WELL_MS) this.#pauseMs = RESTART_PAUSE_MS_MIN;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MS_MAX);
    this.#state = 'restarting';
    this.#options.say(`MariaDB ${this.#replica.id} died; starting it again in ${(pauseMs / 1000).toFixed(1)} s`);
    this.#restart = this.#options.clock.after(pauseMs, () => {
      this.start().catch((thrown: unknown) => {
        if (this.#stopping) return;
        this.#options.say(String((thrown as Error).message));
        void this.#process?.end('SIGKILL').then(() => this.#onEnd(0));
      });
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    await this.#process?.end('SIGTERM', STOP_MS_MAX);
    this.#state = 'stopped';
  }

  #startFailure(): PlatformError {
    const log = fs.existsSync(this.#logFile) ? fs.readFileSync(this.#logFile, 'utf8').trimEnd() : '';
    const errors = log.split('\n').filter((line) => /\[ERROR\]/.test(line));
    const words = (errors.length > 0 ? errors : log.split('\n')).slice(-LAST_LINES_MAX).join('\n');
    return new PlatformError('STORE_UNAVAILABLE', `MariaDB ${this.#replica.id} did not start:\n${words}`);
  }
}

/** Whether a server greets there: MariaDB speaks first. */
function answers(address: string): Promise<boolean> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: LOOK_MS_MAX });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('end', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
