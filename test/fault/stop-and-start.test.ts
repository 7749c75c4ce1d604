/** A cluster that is stopped, cleanly or not, and started again on the same data has lost nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, test } from 'node:test';
import { type LocalCluster, startLocalCluster } from '../../deploy/local-cluster/local-cluster.ts';
import { DepositLoad } from '../support/deposit-load.ts';
import { eventually } from '../support/eventually.ts';
import { assertLedger } from '../support/sqlite-ledger.ts';
import { tempFolder, testConfig } from '../support/test-cluster.ts';

const dataFolder = tempFolder();
const config = await testConfig(dataFolder);
const urls = config.interface.servers.map(({ listen }) => `http://${listen}`);
let cluster: LocalCluster | undefined;

after(async () => {
  await cluster?.stopNow();
  fs.rmSync(dataFolder, { recursive: true, force: true });
});

async function start(): Promise<LocalCluster> {
  cluster = await startLocalCluster({ config });
  await cluster.waitReady();
  return cluster;
}

async function assertBalances(load: DepositLoad): Promise<void> {
  for (const [account, balance] of load.expected) {
    const response = await fetch(`${urls[0]}/accounts/${account}`);
    assert.deepEqual(await response.json(), { account, balance });
  }
}

test('a stop in the middle of writes, by signal and then by kill -9, loses no acknowledged deposit', async (context) => {
  const load = new DepositLoad({ urls, accounts: 12, clients: 8 });
  const first = await start();
  await load.start();
  await eventually('deposits', () => load.acknowledged > 100, 20_000);
  await first.stop(); // the clients go on asking: what they have begun ends after the start
  const second = await start();
  await eventually('deposits after a clean stop', () => load.acknowledged > 200, 20_000);
  await second.stopNow();
  const third = await start();
  await eventually('deposits after kill -9 of everything', () => load.acknowledged > 300, 20_000);
  await load.stop();
  context.diagnostic(`${load.acknowledged} deposits; not acknowledged at first: ${JSON.stringify([...load.refusals])}`);
  await assertBalances(load);
  await third.stop();
  assertLedger(config, load.expected, load.entries);
});
