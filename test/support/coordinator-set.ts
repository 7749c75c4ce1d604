/** A coordinator, and its checkpointer where wanted, as processes of their own: to be killed, filled, damaged and asked. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { CoordinatorAdmin } from '../../deploy/cli/coordinator-admin.ts';
import type { ClusterConfig, ServerConfig } from '../../shared/config/cluster-schema.ts';
import { readClusterConfigFile } from '../../shared/config/load-cluster-config.ts';
import { makeIncarnation } from '../../shared/ids.ts';
import { linkSettingsOf } from '../../shared/link/link-settings.ts';
import { silentLogger } from '../../shared/log.ts';
import { ParkClient } from '../../shared/park/park-client.ts';
import { ParkLinkChannel } from '../../shared/park/park-link-channel.ts';
import { systemRandom } from '../../shared/random.ts';
import { eventually } from './eventually.ts';
import { freeAddress } from './free-ports.ts';
import { smallClusterYaml } from './small-cluster.ts';
import { tempFolder } from './test-cluster.ts';

const MAIN = path.resolve(import.meta.dirname, '../../coordinator-server/main.ts');
const TOKEN = 'a'.repeat(64);
/** Of a start on a machine at its limits. */
const START_MS_MAX = 60_000;

export interface CoordinatorSetOptions {
  readonly checkpointer?: boolean;
  /** More of `coordinator:`, e.g. `  journal: { flushEveryMs: 20 }`; whole lines. */
  readonly yaml?: string;
  /** A file preloaded into every process. */
  readonly preload?: string;
}

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Standard error. */
  readonly errors: string;
}

export class CoordinatorProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;

  constructor(child: ChildProcess) {
    this.child = child;
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    this.ended = once(child, 'close').then(() => ({ exitCode: child.exitCode, signal: child.signalCode, errors }));
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (this.isRunning) this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** `c1`, and `k1` when there is a checkpointer. */
export class CoordinatorSet {
  readonly folder: string;
  readonly config: ClusterConfig;
  readonly admin: CoordinatorAdmin;
  readonly #configFile: string;
  readonly #preload: string | undefined;
  readonly #processes: CoordinatorProcess[] = [];
  readonly #clients: ParkClient[] = [];

  private constructor(folder: string, configFile: string, config: ClusterConfig, preload: string | undefined) {
    this.folder = folder;
    this.config = config;
    this.admin = new CoordinatorAdmin(config, folder);
    this.#configFile = configFile;
    this.#preload = preload;
  }

  static async make({ checkpointer = false, yaml = '', preload }: CoordinatorSetOptions = {}): Promise<CoordinatorSet> {
    const folder = tempFolder();
    fs.writeFileSync(path.join(folder, 'token.txt'), TOKEN);
    const configFile = path.join(folder, 'cluster.yaml');
    const standby = checkpointer
      ? `  checkpointer: { id: k1, listen: "${await freeAddress()}", admin: "${await freeAddress()}" }\n`
      : '';
    const addresses = { listen: await freeAddress(), admin: await freeAddress() };
    fs.writeFileSync(configFile, smallClusterYaml(addresses).replace('interface:\n', `${standby}${yaml}interface:\n`));
    const result = await readClusterConfigFile(configFile);
    assert.ok(result.ok, JSON.stringify(result));
    return new CoordinatorSet(folder, configFile, result.config, preload);
  }

  /** Starts a server's process. It may be killed before it serves. */
  start(serverId: string): CoordinatorProcess {
    const preload = this.#preload === undefined ? [] : ['--import', this.#preload];
    const args = [...preload, MAIN, '--config', this.#configFile, '--id', serverId, '--root', this.folder];
    const child = spawn(process.execPath, [...args, '--log-level', 'error'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout?.resume();
    const started = new CoordinatorProcess(child);
    this.#processes.push(started);
    return started;
  }

  /** The journal's folder. */
  parkFolder(serverId: string): string {
    return path.join(this.folder, 'data', serverId, 'park');
  }

  /** Its /-/status; undefined while it does not answer. */
  // biome-ignore lint/suspicious/noExplicitAny: what JSON holds
  async status(serverId: string): Promise<any> {
    return await this.admin.statusOf(this.#server(serverId).admin).catch(() => undefined);
  }

  /** @throws AssertionError when it ends instead, with what it said */
  async untilServing(serverId: string, started: CoordinatorProcess): Promise<void> {
    await eventually(
      `${serverId} to serve`,
      async () => {
        if (!started.isRunning) assert.fail(`${serverId} ended: ${(await started.ended).errors.slice(-2_000)}`);
        return (await this.status(serverId)) !== undefined;
      },
      START_MS_MAX,
      20,
    );
  }

  /** A client of the park over links. Closed with the set. */
  client(name: string, options: { readonly sessionTtlMs?: number; readonly callTimeoutMs?: number } = {}): ParkClient {
    const { cluster, coordinator } = this.config;
    const servers = [
      ...coordinator.servers,
      ...(coordinator.checkpointer === undefined ? [] : [coordinator.checkpointer]),
    ];
    const channel = new ParkLinkChannel({
      coordinators: servers.map(({ listen }) => listen),
      identity: { cluster, token: TOKEN, role: 'tool', serverId: name, incarnation: makeIncarnation(systemRandom) },
      settings: linkSettingsOf(this.config),
      log: silentLogger,
    });
    const client = new ParkClient({ channel, name, ...options });
    client.start();
    this.#clients.push(client);
    return client;
  }

  /** Ends all, and removes the folder. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const started of this.#processes) await started.kill();
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  #server(serverId: string): ServerConfig {
    const { servers, checkpointer } = this.config.coordinator;
    const found = [...servers, ...(checkpointer === undefined ? [] : [checkpointer])].find(({ id }) => id === serverId);
    assert.ok(found !== undefined, serverId);
    return found;
  }
}
