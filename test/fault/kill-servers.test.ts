/**
 * Servers are killed with SIGKILL under mixed load: nothing is lost or doubled, no replica differs, no read is stale,
 * and a client whose interface server lives sees no error at all.
 *
 * Short: one server of each kind, then all dispatchers, and all app servers of a group. Full: random ones every few seconds, for ten minutes.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import { eventually } from '../support/eventually.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { ServerKiller } from '../support/server-killer.ts';
import { lengthOf, SOAK } from '../support/soak.ts';
import { assertLedger } from '../support/sqlite-ledger.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

/** KILL_SEED repeats the plan of a run; what the clients do in between is up to the machine. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const RANDOM_KILLS_MS = 10 * 60_000;
const PAUSE_MS_MAX = 4_000;
/** Requests that go on after a kill before the next one. */
const GO_ON_REQUESTS = lengthOf(20, 200);

let running: TestCluster;
let load: MixedLoad;
let killer: ServerKiller;

before(async () => {
  running = await startTestCluster();
  const random = seededRandom(SEED);
  killer = new ServerKiller(running, random);
  const { urls } = running;
  load = new MixedLoad({ urls, accounts: 32, clients: 12, random: seededRandom(SEED + 1), wasDown: killer.wasDown });
  await untilWhole(running.config);
  await load.start();
});

after(async () => {
  await running.close();
});

async function goesOn(): Promise<void> {
  const done = load.doneCount;
  await eventually('requests to go on', () => load.doneCount > done + GO_ON_REQUESTS, 20_000);
}

/** Kills servers and waits until the cluster is whole and requests go on. */
async function killAndRecover(serverIds: readonly string[], report: (line: string) => void): Promise<void> {
  const killedAt = performance.now();
  await killer.kill(serverIds);
  await untilWhole(running.config);
  report(`whole again ${Math.round(performance.now() - killedAt)} ms after kill -9 of ${serverIds.join(' and ')}`);
  await goesOn();
}

for (const serverIds of [['c1', 'i2'], ['d1'], ['g1a'], ['d1', 'd2'], ['g2a', 'g2b']]) {
  test(`no client of a living interface server sees an error when ${serverIds.join(' and ')} die`, async (context) => {
    await killAndRecover(serverIds, (line) => context.diagnostic(line));
    assert.deepEqual(load.faults, []);
  });
}

if (SOAK) {
  test('nor when random servers die every few seconds', async (context) => {
    const random = seededRandom(SEED + 2);
    const untilMs = performance.now() + RANDOM_KILLS_MS;
    context.diagnostic(`KILL_SEED=${SEED}`);
    while (performance.now() < untilMs && load.faultCount === 0) {
      await killer.kill(killer.choose());
      await pause(random.float() * PAUSE_MS_MAX);
      await goesOn();
    }
    context.diagnostic(`kills: ${JSON.stringify(Object.fromEntries(killer.kills))}`);
    assert.deepEqual(load.faults, []);
  });
}

test('every balance is what the clients were told, on every replica', async (context) => {
  await load.stop();
  context.diagnostic(load.summary());
  const balances = new Map<string, number>();
  const entries = new Map<string, number>();
  for (const account of load.book.accounts) {
    const { balance, entryCount } = await accountNow(account);
    assert.equal(load.book.judgeSettled(account, balance, entryCount), '');
    balances.set(account, balance);
    entries.set(account, entryCount);
  }
  await running.cluster.stop();
  assertLedger(running.config, balances, entries);
  assert.deepEqual(load.faults, []);
});

async function accountNow(account: string): Promise<{ balance: number; entryCount: number }> {
  const get = async (path: string): Promise<unknown> => (await fetch(`${running.urls[0]}/accounts/${path}`)).json();
  const { balance } = (await get(account)) as { balance: number };
  // Entries are numbered 1, 2, 3, … without a gap: the newest one's number is their count.
  const { entries } = (await get(`${account}/entries?limit=1`)) as { entries: readonly { number: number }[] };
  return { balance, entryCount: entries[0]?.number ?? 0 };
}
