/** `kill -9` of one server of each kind while deposits flow: none lost, none doubled, the cluster whole again. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DepositLoad } from '../support/deposit-load.ts';
import { eventually } from '../support/eventually.ts';
import { assertLedger } from '../support/sqlite-ledger.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

let running: TestCluster;
let load: DepositLoad;

before(async () => {
  running = await startTestCluster();
  load = new DepositLoad({ urls: running.urls, accounts: 24, clients: 12 });
  await untilWhole(running.config);
  await load.start();
});

after(async () => {
  await running.close();
});

/** Kills a server and waits until the cluster is whole and deposits go on. */
async function killAndRecover(serverId: string, report: (line: string) => void): Promise<void> {
  const { cluster, config } = running;
  const pid = cluster.pid(serverId);
  const killedAt = performance.now();
  assert.ok(cluster.kill(serverId), `${serverId} was running`);
  await eventually(`a new process of ${serverId}`, () => (cluster.pid(serverId) ?? pid) !== pid, 20_000);
  await untilWhole(config);
  report(`whole again ${Math.round(performance.now() - killedAt)} ms after kill -9 of ${serverId}`);
  const acknowledged = load.acknowledged;
  await eventually('deposits to go on', () => load.acknowledged > acknowledged + 20, 20_000);
}

for (const serverId of ['c1', 'd1', 'g1a', 'g2b', 'i2', 'd2']) {
  test(`the cluster survives kill -9 of ${serverId}`, async (context) => {
    await killAndRecover(serverId, (line) => context.diagnostic(line));
  });
}

test('two servers killed at once are survived too', async (context) => {
  running.cluster.kill('g1b');
  await killAndRecover('d1', (line) => context.diagnostic(line));
});

test('every balance is what the clients were told, on every replica', async (context) => {
  await load.stop();
  context.diagnostic(`${load.acknowledged} deposits; slowest ${Math.round(load.slowestMs)} ms`);
  context.diagnostic(`not acknowledged at first: ${JSON.stringify(Object.fromEntries(load.refusals))}`);
  for (const [account, balance] of load.expected) {
    const response = await fetch(`${running.urls[0]}/accounts/${account}`);
    assert.deepEqual(await response.json(), { account, balance });
  }
  await running.cluster.stop();
  assertLedger(running.config, load.expected, load.entries);
});
