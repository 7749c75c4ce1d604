/** A real cluster for a test: the local cluster's config on free ports, with its data in a temp folder. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type LocalCluster, startLocalCluster } from '../../deploy/local-cluster/local-cluster.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { readClusterConfigFile } from '../../shared/config/load-cluster-config.ts';
import type { Tier } from '../../shared/server-process.ts';
import { freePorts } from './free-ports.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../..');

export interface TestCluster {
  readonly cluster: LocalCluster;
  readonly config: ClusterConfig;
  /** e.g. `http://127.0.0.1:23456`, one for each interface server. */
  readonly urls: readonly string[];
  /** Absolute; removed by close(). */
  readonly dataFolder: string;
  /** What the supervisor said, for the message of a failing test. */
  readonly said: readonly string[];
  /** Stops it and removes its data. */
  close(): Promise<void>;
}

export interface TestClusterOptions {
  /** Changes the config before the start, in place. */
  readonly change?: (config: ClusterConfig) => void;
  /** A file preloaded into every server's process. */
  readonly preload?: string;
}

/** A folder of its own for a test's data. Remove it when done. */
export function tempFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'trunkline-test-'));
}

/**
 * A config that comes with Trunkline, with free ports and its data in `dataFolder`.
 * @param name of deploy/clusters; default: the local cluster
 */
export async function testConfig(dataFolder: string, name = 'local'): Promise<ClusterConfig> {
  const file = path.join(CHECKOUT, `deploy/clusters/${name}.yaml`);
  const result = await readClusterConfigFile(file);
  assert.ok(result.ok, 'the local cluster has a valid config');
  const config = structuredClone(result.config);
  config.dataFolder = dataFolder;
  config.token = { file: path.join(dataFolder, 'cluster-token') };
  const servers = [
    ...config.coordinator.servers,
    ...config.interface.servers,
    ...config.dispatcher.servers,
    ...config.groups.flatMap((group) => group.appServers),
  ];
  const ports = await freePorts(servers.length * 2);
  for (const server of servers) {
    server.listen = `127.0.0.1:${ports.pop()}`;
    server.admin = `127.0.0.1:${ports.pop()}`;
  }
  return config;
}

/** Starts a cluster and waits until it is ready. */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const dataFolder = tempFolder();
  const config = await testConfig(dataFolder);
  options.change?.(config);
  const said: string[] = [];
  const { preload } = options;
  const programOf = (tier: Tier): string[] => [
    '--import',
    preload ?? '',
    path.join(CHECKOUT, `${tier}-server/main.ts`),
  ];
  const cluster = await startLocalCluster({
    config,
    say: (line) => said.push(line),
    ...(preload === undefined ? {} : { programOf }),
  });
  const close = async (): Promise<void> => {
    await cluster.stop();
    fs.rmSync(dataFolder, { recursive: true, force: true });
  };
  try {
    await cluster.waitReady();
  } catch (error) {
    await close();
    throw error;
  }
  const urls = cluster.publicAddresses().map((address) => `http://${address}`);
  return { cluster, config, urls, dataFolder, said, close };
}
