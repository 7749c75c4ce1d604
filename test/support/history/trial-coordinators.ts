/** Coordinators of one cluster as processes of their own, to be killed, stopped and started again. No other servers. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { CoordinatorAdmin } from '../../../deploy/cli/coordinator-admin.ts';
import { type ClusterConfig, clusterSchema } from '../../../shared/config/cluster-schema.ts';
import { eventually } from '../eventually.ts';
import { freeAddress } from '../free-ports.ts';
import { smallClusterConfig } from '../small-cluster.ts';
import { tempFolder } from '../test-cluster.ts';
import { WRONG_CLOCKS_FOLDER } from '../wrong-wall-clock.ts';

const MAIN = path.resolve(import.meta.dirname, '../../../coordinator-server/main.ts');
const PRELOAD = pathToFileURL(path.resolve(import.meta.dirname, '../wrong-wall-clock.ts')).href;
const UP_WITHIN_MS = 30_000;

export interface TrialCoordinatorsOptions {
  readonly count: number;
  /** Of etcd; without them each has a journal: then there is one coordinator. */
  readonly etcd?: readonly string[];
}

interface Status {
  readonly leader: string;
  readonly published: { readonly epoch: number };
}

export class TrialCoordinators {
  readonly config: ClusterConfig;
  readonly token = 'a'.repeat(64);
  readonly #folder: string;
  readonly #clocksFolder: string;
  readonly #admin: CoordinatorAdmin;
  readonly #children = new Map<string, ChildProcess>();

  private constructor(config: ClusterConfig, folder: string) {
    this.config = config;
    this.#folder = folder;
    this.#clocksFolder = path.join(folder, 'clocks');
    fs.mkdirSync(this.#clocksFolder);
    fs.writeFileSync(path.join(folder, 'token.txt'), this.token);
    fs.writeFileSync(path.join(folder, 'cluster.yaml'), JSON.stringify(config));
    this.#admin = new CoordinatorAdmin(config, folder);
  }

  static async start({ count, etcd }: TrialCoordinatorsOptions): Promise<TrialCoordinators> {
    const servers: { id: string; listen: string; admin: string }[] = [];
    for (let number = 1; number <= count; number++)
      servers.push({ id: `c${number}`, listen: await freeAddress(), admin: await freeAddress() });
    const store = etcd === undefined ? {} : { store: 'etcd', endpoints: etcd };
    const config = clusterSchema.parse({ ...smallClusterConfig(), coordinator: { servers, ...store } });
    const set = new TrialCoordinators(config, tempFolder());
    for (const id of set.ids) set.startOne(id);
    await set.untilLed();
    return set;
  }

  get ids(): string[] {
    return this.config.coordinator.servers.map(({ id }) => id);
  }

  startOne(id: string): void {
    const args = ['--config', path.join(this.#folder, 'cluster.yaml'), '--id', id, '--root', this.#folder];
    const env = { ...process.env, [WRONG_CLOCKS_FOLDER]: this.#clocksFolder };
    const argv = ['--import', PRELOAD, MAIN, ...args, '--log-level', 'fatal'];
    this.#children.set(id, spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'], env }));
  }

  signal(id: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#children.get(id)?.kill(signal);
  }

  async kill(id: string): Promise<void> {
    const child = this.#children.get(id);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  /** Sets its wall clock wrong, from now on and over restarts. */
  setClock(id: string, offsetMs: number): void {
    const file = path.join(this.#clocksFolder, id);
    fs.writeFileSync(`${file}.clock`, String(offsetMs));
    fs.renameSync(`${file}.clock`, file);
  }

  /** @returns the id of the leader that `ids` agree on, other than `not`, once they have published */
  async untilLed(ids: readonly string[] = this.ids, not = ''): Promise<string> {
    return await eventually(
      `a leader of ${ids.join(' and ')}${not === '' ? '' : ` besides ${not}`}`,
      async () => {
        const all = await Promise.all(ids.map((id) => this.#statusOf(id)));
        const leader = all[0]?.leader ?? '';
        const agree = all.every((one) => one?.leader === leader && one.published.epoch > 0);
        return agree && leader !== '' && leader !== not ? leader : undefined;
      },
      UP_WITHIN_MS,
      20,
    );
  }

  async close(): Promise<void> {
    for (const id of this.ids) await this.kill(id);
    fs.rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #statusOf(id: string): Promise<Status | undefined> {
    const address = this.config.coordinator.servers.find((server) => server.id === id)?.admin ?? '';
    return (await this.#admin.statusOf(address).catch(() => undefined)) as Status | undefined;
  }
}
