/** Where requests really go, through real sockets and processes, against what a real JVM says of their account keys. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import { accountKeyComplaint } from '../../../shared/routing/account-key-limits.ts';
import { freePorts } from '../../support/free-ports.ts';
import recorded from '../../support/jdk-hash/vectors.json' with { type: 'json' };
import { startTestCluster, tempFolder, testConfig } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';

const BUCKETS = recorded.bucketCounts[0] as number;
/** Keys that a request can carry. */
const carried = recorded.vectors.filter(({ key }) => key !== '' && accountKeyComplaint(key) === '');

/** Group of a bucket by the classic rule, written down a second time: step = floor(buckets / n), the last takes the rest. */
function groupOf(bucket: number, groupCount: number): string {
  return `g${Math.min(Math.floor(bucket / Math.floor(BUCKETS / groupCount)), groupCount - 1) + 1}`;
}

for (const kind of ['jdk-string', 'jdk-utf8'] as const) {
  test(`every key of the JVM's vectors reaches its group by ${kind}`, async () => {
    const ports = await freePorts(2);
    const running = await startTestCluster({
      change: (config) => {
        config.hash.kind = kind;
        splitEvenly(config, 3);
        for (const server of config.groups[2]?.appServers ?? []) {
          server.listen = `127.0.0.1:${ports[0]}`;
          server.admin = `127.0.0.1:${ports[1]}`;
        }
      },
    });
    try {
      await untilWhole(running.config);
      for (const { key, string, utf8 } of carried) {
        const bucket = (kind === 'jdk-string' ? string : utf8).buckets[0] as number;
        const response = await fetch(`${running.urls[0]}/accounts/${encodeURIComponent(key)}`);
        assert.equal(response.headers.get('x-group'), groupOf(bucket, 3), JSON.stringify(key));
      }
    } finally {
      await running.close();
    }
  });
}

describe('frames', () => {
  const folder = tempFolder();
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  test('frames: N gives every bucket its group by the classic rule, for N = 1..100', async () => {
    const config = await testConfig(folder);
    const counts = Array.from({ length: BUCKETS }, (_, index) => index + 1);
    const input = carried.map(({ key }) => `${JSON.stringify(key)}\n`).join('');
    const worker = async (): Promise<void> => {
      for (let groupCount = counts.shift(); groupCount !== undefined; groupCount = counts.shift()) {
        const file = path.join(folder, `frames-${groupCount}.json`);
        fs.writeFileSync(file, JSON.stringify(splitEvenly(structuredClone(config), groupCount)));
        const lines = (await routed(file, input)).trimEnd().split('\n');
        assert.equal(lines.length, carried.length);
        for (const [index, line] of lines.entries()) {
          const { key, string } = carried[index] as (typeof carried)[number];
          const bucket = string.buckets[0] as number;
          assert.deepEqual(JSON.parse(line), { key, hash: string.hash, bucket, group: groupOf(bucket, groupCount) });
        }
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
  });
});

/** `frames: N` over groups g1..gN, each with one app server and one replica of its own. */
function splitEvenly(config: ClusterConfig, groupCount: number): ClusterConfig {
  config.frames = groupCount;
  config.groups = Array.from({ length: groupCount }, (_, index) => {
    const id = `g${index + 1}`;
    const known = config.groups[index];
    const { listen, admin } = known?.appServers[0] ?? {
      listen: `app-${index}.example:7000`,
      admin: `app-${index}.example:9000`,
    };
    const appServers = [{ id: `${id}a`, listen, admin }];
    return {
      id,
      policy: 'round-robin',
      appServers,
      replicas: [{ id: `${id}r1`, kind: 'sqlite', file: `${id}/r1.sqlite` }],
    };
  });
  return config;
}

/** Output of `trunkline route --stdin --json`, as a process of its own. */
async function routed(configFile: string, input: string): Promise<string> {
  const cli = path.resolve(import.meta.dirname, '../../../deploy/cli.ts');
  const args = [...process.execArgv, cli, 'route', '--stdin', '--json', '--config', configFile];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  child.stdin.end(input);
  const exitCode = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(exitCode, 0);
  return output;
}
