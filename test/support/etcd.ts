/** Real etcd nodes on loopback, for tests: started in temporary folders, stopped by their pids. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { requireProgram, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { eventually } from './eventually.ts';
import { freeAddress } from './free-ports.ts';

interface EtcdNode {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly folder: string;
  child: ChildProcess | undefined;
}

export class EtcdCluster {
  readonly #nodes: EtcdNode[];
  readonly #folder: string;

  private constructor(nodes: EtcdNode[], folder: string) {
    this.#nodes = nodes;
    this.#folder = folder;
  }

  static async start(size: 1 | 3): Promise<EtcdCluster> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trunkline-etcd-'));
    const nodes: EtcdNode[] = [];
    for (let index = 0; index < size; index++) {
      const [client, peer] = [await freeAddress(), await freeAddress()];
      const name = `e${index}`;
      nodes.push({
        name,
        client: `http://${client}`,
        peer: `http://${peer}`,
        folder: path.join(folder, name),
        child: undefined,
      });
    }
    const cluster = new EtcdCluster(nodes, folder);
    for (const { name } of nodes) cluster.startNode(name);
    await cluster.untilHealthy();
    return cluster;
  }

  get endpoints(): string[] {
    return this.#nodes.map(({ client }) => client);
  }

  get names(): string[] {
    return this.#nodes.map(({ name }) => name);
  }

  startNode(name: string): void {
    const node = this.#node(name);
    const args = [
      ['--name', node.name],
      ['--data-dir', node.folder],
      ['--listen-client-urls', node.client],
      ['--advertise-client-urls', node.client],
      ['--listen-peer-urls', node.peer],
      ['--initial-advertise-peer-urls', node.peer],
      ['--initial-cluster', this.#nodes.map((one) => `${one.name}=${one.peer}`).join(',')],
      ['--initial-cluster-state', 'new'],
      ['--heartbeat-interval', '50'],
      ['--election-timeout', '500'],
      ['--log-level', 'error'],
    ].flat();
    node.child = spawn(requireProgram(TEST_PROGRAMS.etcd), args, { stdio: 'ignore' });
  }

  /** kill -9, or SIGSTOP and SIGCONT. */
  async signal(name: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const { child } = this.#node(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    if (signal === 'SIGKILL') await exited;
  }

  /** Name of the node that leads. */
  async leader(): Promise<string> {
    for (const { client } of this.#nodes) {
      const status = await this.#post(client, '/v3/maintenance/status', {}).catch(() => undefined);
      const leader = (status as { leader?: string } | undefined)?.leader;
      if (leader === undefined || leader === '0') continue;
      for (const { name, client: other } of this.#nodes) {
        const own = await this.#post(other, '/v3/maintenance/status', {}).catch(() => undefined);
        if ((own as { header?: { member_id?: string } } | undefined)?.header?.member_id === leader) return name;
      }
    }
    throw new Error('expected an etcd node that leads, found none');
  }

  async untilHealthy(): Promise<void> {
    await eventually('etcd to lead', async () => await this.leader().catch(() => undefined), 20_000);
  }

  /** Forgets the history of everything up to now. */
  async compact(): Promise<void> {
    const [node] = this.#nodes;
    const { header } = (await this.#post(node?.client ?? '', '/v3/kv/range', { key: 'AA==' })) as {
      header: { revision: string };
    };
    await this.#post(node?.client ?? '', '/v3/kv/compaction', { revision: header.revision, physical: true });
  }

  async stop(): Promise<void> {
    for (const { name } of this.#nodes) await this.signal(name, 'SIGKILL');
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #node(name: string): EtcdNode {
    const node = this.#nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`expected one of ${this.names.join(', ')}, got ${name}`);
    return node;
  }

  async #post(client: string, path: string, body: unknown): Promise<unknown> {
    const response = await fetch(`${client}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(1_000),
    });
    return await response.json();
  }
}
