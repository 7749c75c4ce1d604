/** What is measured: something that answers HTTP at an address, with processes whose CPU counts. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { startTestCluster } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';

export interface Contestant {
  readonly name: string;
  readonly url: string;
  readonly pids: readonly number[];
  close(): Promise<void>;
}

/** One interface server, one dispatcher, two app servers of one group; every feature on. */
export async function fourTiers(): Promise<Contestant> {
  const running = await startTestCluster({
    change: (config) => {
      config.interface.servers.length = 1;
      config.dispatcher.servers.length = 1;
      config.groups.length = 1;
      for (const group of config.groups) group.frames = ['0-99'];
    },
  });
  await untilWhole(running.config);
  return {
    name: 'trunkline',
    url: `${running.urls[0]}/echo?account=alice`,
    pids: running.cluster.servers().flatMap(({ pid }) => pid ?? []),
    close: () => running.close(),
  };
}

export async function bareServer(): Promise<Contestant> {
  const file = path.resolve(import.meta.dirname, '../peers/bare-server.ts');
  const child = spawn(process.execPath, [...process.execArgv, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.stdout.setEncoding('utf8').once('data', (line: string) => resolve(line.trim()));
  });
  return {
    name: 'bare uWebSockets.js',
    url: `http://${address}/echo?account=alice`,
    pids: [child.pid as number],
    close: async () => {
      child.kill();
    },
  };
}
