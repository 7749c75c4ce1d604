/**
 * Every coordinator is killed with SIGKILL and kept from coming back: under full load no request fails, and every other
 * server, killed too, starts from what it has on its disk and serves.
 *
 * Short: 5 s of outage. Full: 60 s.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import { eventually } from '../support/eventually.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { ServerKiller } from '../support/server-killer.ts';
import { lengthOf } from '../support/soak.ts';
import { assertLedger } from '../support/sqlite-ledger.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const OUTAGE_MS = lengthOf(5_000, 60_000);
const GO_ON_REQUESTS = 200;
/** A supervisor starts it again; it is killed long before it could serve. */
const KILL_AGAIN_MS = 20;
const SERVED_WITHIN_MS = 30_000;
const ACCOUNTS = 32;

let running: TestCluster;
let load: MixedLoad;
let killer: ServerKiller;
let killing: NodeJS.Timeout | undefined;
let everyoneElse: string[];

before(async () => {
  running = await startTestCluster();
  const random = seededRandom(SEED);
  killer = new ServerKiller(running, random);
  const { urls, config, cluster } = running;
  load = new MixedLoad({ urls, accounts: ACCOUNTS, clients: 12, random, wasDown: killer.wasDown });
  const coordinators = config.coordinator.servers.map(({ id }) => id);
  everyoneElse = cluster
    .servers()
    .map(({ serverId }) => serverId)
    .filter((serverId) => !coordinators.includes(serverId));
  await untilWhole(config);
  await load.start();
  killing = setInterval(() => {
    for (const serverId of coordinators) cluster.kill(serverId);
  }, KILL_AGAIN_MS);
});

after(async () => {
  clearInterval(killing);
  await running.close();
});

async function assertNoCoordinator(): Promise<void> {
  for (const { admin } of running.config.coordinator.servers)
    await assert.rejects(fetch(`http://${admin}/-/status`), 'no coordinator answers');
}

async function goesOn(): Promise<void> {
  const done = load.doneCount;
  await eventually('requests to go on', () => load.doneCount > done + GO_ON_REQUESTS, SERVED_WITHIN_MS);
}

/** Of each group, through every interface server. */
async function assertServed(): Promise<void> {
  for (const url of running.urls) {
    const groups = new Set<string | null>();
    for (let number = 0; number < ACCOUNTS; number++) {
      const response = await fetch(`${url}/accounts/account-${number}`);
      await response.text();
      assert.equal(response.status, 200, `account-${number} through ${url}`);
      groups.add(response.headers.get('x-group'));
    }
    assert.equal(groups.size, running.config.groups.length);
  }
}

test(`without any coordinator for ${OUTAGE_MS / 1_000} s no request fails`, async (context) => {
  await eventually(
    'no coordinator',
    () =>
      assertNoCoordinator().then(
        () => true,
        () => false,
      ),
    SERVED_WITHIN_MS,
  );
  const done = load.doneCount;
  const untilMs = performance.now() + OUTAGE_MS;
  while (performance.now() < untilMs) {
    await assertNoCoordinator();
    await pause(100);
  }
  await goesOn();
  assert.deepEqual(load.faults, []);
  context.diagnostic(`${load.doneCount - done} requests answered in ${OUTAGE_MS / 1_000} s without a coordinator`);
});

test('every server, killed one after the other, comes back without a coordinator, and no request fails', async (context) => {
  for (const serverId of everyoneElse) {
    const downMs = await killer.kill([serverId]);
    await goesOn();
    context.diagnostic(`${serverId} up again after ${Math.round(downMs)} ms`);
    assert.deepEqual(load.faults, []);
  }
  await assertNoCoordinator();
});

test('all of them killed at once start from their disks and serve everything', async (context) => {
  await load.stop();
  const downMs = await killer.kill(everyoneElse);
  const isServed = (): Promise<boolean> =>
    assertServed().then(
      () => true,
      () => false,
    );
  await eventually('everything to be served', isServed, SERVED_WITHIN_MS, 50);
  await assertNoCoordinator();
  await assertServed();
  context.diagnostic(`all up again after ${Math.round(downMs)} ms`);
});

test('a coordinator that comes back finds everybody, and every balance is what the clients were told', async (context) => {
  clearInterval(killing);
  await untilWhole(running.config);
  const balances = new Map<string, number>();
  const entries = new Map<string, number>();
  for (const account of load.book.accounts) {
    const get = async (path: string): Promise<unknown> => (await fetch(`${running.urls[0]}/accounts/${path}`)).json();
    const { balance } = (await get(account)) as { balance: number };
    const { entries: newest } = (await get(`${account}/entries?limit=1`)) as { entries: readonly { number: number }[] };
    assert.equal(load.book.judgeSettled(account, balance, newest[0]?.number ?? 0), '');
    balances.set(account, balance);
    entries.set(account, newest[0]?.number ?? 0);
  }
  context.diagnostic(`KILL_SEED=${SEED}: ${load.summary()}`);
  await running.cluster.stop();
  assertLedger(running.config, balances, entries);
  assert.deepEqual(load.faults, []);
});
