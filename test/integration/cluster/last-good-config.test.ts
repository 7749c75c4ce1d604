/** A config file that is refused takes nothing down: servers that die start again from the config published last. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { ClusterConfig, GroupConfig } from '../../../shared/config/cluster-schema.ts';
import { eventually } from '../../support/eventually.ts';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';

/** One of each kind. */
const KILLED = ['g1a', 'd1', 'i1', 'c1'];
/** An account of each group, and what it holds. */
const ACCOUNTS = [
  { account: 'a', group: 'g2', balance: 5 },
  { account: 'zzzz', group: 'g1', balance: 7 },
];

let running: TestCluster;

before(async () => {
  // One server of each kind and group: whoever was killed has to answer itself.
  const alone = (config: ClusterConfig): void => {
    const { interface: front, dispatcher, groups } = config;
    for (const servers of [front.servers, dispatcher.servers, ...groups.map((group) => group.appServers)])
      servers.length = 1;
  };
  running = await startTestCluster({ change: alone });
  await untilWhole(running.config);
  for (const { account, balance } of ACCOUNTS) {
    await send('PUT', `/accounts/${account}`, {});
    assert.equal((await send('POST', `/accounts/${account}/deposits`, { amount: balance })).status, 201);
  }
});

after(() => running.close());

function send(method: string, target: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${running.urls[0]}${target}`, { method, headers, body: JSON.stringify(body) });
}

/** As an editor saves: a new file, renamed over the old one. */
function save(text: string): void {
  const file = running.cluster.configFile;
  fs.writeFileSync(`${file}.new`, text);
  fs.renameSync(`${file}.new`, file);
}

function edited(change: (config: ClusterConfig) => void): string {
  const config = structuredClone(running.config);
  change(config);
  return JSON.stringify(config, null, 2);
}

interface Refusal {
  readonly code: string;
  readonly reasons: readonly string[];
  readonly stands: boolean;
}

async function refusal(): Promise<Refusal | null> {
  const address = running.config.coordinator.servers[0]?.admin;
  const status = (await (await fetch(`http://${address}/-/status`)).json()) as {
    config: { lastRefusal: Refusal | null };
  };
  return status.config.lastRefusal;
}

async function untilRefused(code: string, reason: RegExp): Promise<void> {
  const refused = await eventually(`a refusal with ${code}`, async () => {
    const last = await refusal();
    return last?.stands === true && last.code === code ? last : undefined;
  });
  assert.match(refused.reasons.join('\n'), reason);
}

/** Every account is where it was, with what it held. */
async function assertServed(): Promise<void> {
  for (const { account, group, balance } of ACCOUNTS) {
    const response = await fetch(`${running.urls[0]}/accounts/${account}`);
    assert.deepEqual([response.status, await response.json()], [200, { account, balance }]);
    assert.equal(response.headers.get('x-group'), group);
  }
}

/** @returns what the server's new process says of its config */
async function killAndComeBack(serverId: string): Promise<string> {
  const { cluster, config } = running;
  const pid = cluster.pid(serverId);
  const logged = fs.statSync(cluster.logFile(serverId)).size;
  assert.ok(cluster.kill(serverId), `${serverId} was running`);
  await eventually(`a new process of ${serverId} that listens`, () => {
    const server = cluster.servers().find((view) => view.serverId === serverId);
    return server?.phase === 'up' && server.pid !== pid;
  });
  await untilWhole(config);
  await assertServed();
  const lines = fs.readFileSync(cluster.logFile(serverId)).subarray(logged).toString().split('\n');
  return lines.find((line) => line.includes('starting from the config that was published last')) ?? '';
}

describe('while the config file has a mistake', () => {
  const mistake = /cluster\.json:2:10: not YAML/;
  before(async () => {
    save('version: 1\ncluster: local\n  token: [\n');
    await untilRefused('CONFIG_INVALID', mistake);
  });
  for (const serverId of KILLED) {
    test(`${serverId} starts again after kill -9, and says why not from the file`, async () => {
      assert.match(await killAndComeBack(serverId), mistake);
      await untilRefused('CONFIG_INVALID', mistake);
    });
  }
});

describe('while the config file would move data', () => {
  const swapped = /frames: buckets 0-49 belong to g1, the file gives them to g2/;
  before(async () => {
    const swap = (config: ClusterConfig): void => {
      const [first, second] = config.groups as [GroupConfig, GroupConfig];
      [first.frames, second.frames] = [second.frames, first.frames];
      [first.replicas, second.replicas] = [second.replicas, first.replicas];
    };
    save(edited(swap));
    await untilRefused('CONFIG_MOVES_DATA', swapped);
  });
  for (const serverId of KILLED) {
    test(`${serverId} starts again after kill -9, every account where it was`, async () => {
      assert.match(await killAndComeBack(serverId), swapped);
      await untilRefused('CONFIG_MOVES_DATA', swapped);
    });
  }
});

test('the file put right, with another limit, applies live and ends the refusal', async () => {
  const body = { amount: 1, note: 'x'.repeat(2_000) };
  assert.equal((await send('POST', '/accounts/a/deposits', body)).status, 400);
  save(edited((config) => Object.assign(config.limits, { bodyBytesMax: 1_024 })));
  await eventually('the limit', async () => (await send('POST', '/accounts/a/deposits', body)).status === 413);
  assert.equal((await refusal())?.stands, false);
  await assertServed();
});
