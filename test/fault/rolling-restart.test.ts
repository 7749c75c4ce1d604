/**
 * Every server restarted under load, one after the other: no request fails, no deposit is lost or doubled.
 * What "fails" means, and what the clients do, stands in test/support/steady-clients.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CoordinatorAdmin } from '../../deploy/cli/coordinator-admin.ts';
import { giveOrder, type ServiceOrder } from '../../deploy/cli/service-order.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';
import { assertLedger } from '../support/sqlite-ledger.ts';
import { SteadyClients } from '../support/steady-clients.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

/** One of each kind; in a soak all, several times. */
const ROUNDS = lengthOf(1, 6);
const BY_SIGNAL = lengthOf(['c1', 'g1a', 'd1', 'i1'], ['c1', 'g1a', 'g1b', 'g2a', 'g2b', 'd1', 'd2', 'i1', 'i2']);
const BY_HAND = lengthOf(['g2a', 'i2'], ['g1a', 'g1b', 'g2a', 'g2b', 'd1', 'd2', 'i1', 'i2']);
/** Interface servers refuse in maintenance: there clients would fail. */
const AT_ONCE = lengthOf(['g1b', 'd2'], ['g1a', 'g1b', 'g2a', 'g2b', 'd1', 'd2']);

let running: TestCluster;
let clients: SteadyClients;

before(async () => {
  running = await startTestCluster();
  await untilWhole(running.config);
  clients = new SteadyClients({
    urls: running.urls,
    clients: 16,
    accounts: 24,
    thinkMs: 2,
    write: true,
    read: '/accounts/',
  });
  await clients.start();
});

after(async () => {
  await running.close();
});

/** SIGTERM, as a service manager would; the supervisor starts it again. */
async function restart(serverId: string): Promise<number> {
  const { cluster } = running;
  const pid = cluster.pid(serverId);
  const stoppedAtMs = performance.now();
  assert.ok(cluster.kill(serverId, 'SIGTERM'), `${serverId} was running`);
  await eventually(`a new process of ${serverId}`, () => (cluster.pid(serverId) ?? pid) !== pid, 20_000);
  return performance.now() - stoppedAtMs;
}

async function order(action: ServiceOrder['action'], server: string): Promise<string[]> {
  const lines: string[] = [];
  const orders = new CoordinatorAdmin(running.config);
  const wanted = { action, server, force: false, wait: true, timeoutMs: 20_000 };
  assert.equal(await giveOrder(wanted, orders, (line) => lines.push(line)), 0, lines.join('\n'));
  return lines;
}

async function goesOn(): Promise<void> {
  const { length } = clients.answered;
  await eventually('requests to go on', () => clients.answered.length > length + 50, 20_000);
}

function assertNothingFailed(): void {
  assert.deepEqual(clients.failures, []);
  assert.equal(clients.failed, 0);
}

for (let round = 1; round <= ROUNDS; round++) {
  test(`SIGTERM of one server after the other fails no request (round ${round})`, async (context) => {
    for (const serverId of BY_SIGNAL) {
      const stopMs = Math.round(await restart(serverId));
      const wholeMs = Math.round(await untilWhole(running.config));
      context.diagnostic(`${serverId}: gone and started again in ${stopMs} ms, whole ${wholeMs} ms later`);
      await goesOn();
      assertNothingFailed();
    }
  });

  test(`drain --wait, restart, ready --wait fails no request (round ${round})`, async (context) => {
    for (const serverId of BY_HAND) {
      for (const line of await order('drain', serverId)) context.diagnostic(line);
      await restart(serverId);
      for (const line of await order('ready', serverId)) context.diagnostic(line);
      await goesOn();
      assertNothingFailed();
    }
  });
}

test('maint and ready of a server that works fail no request: what it had goes to another one', async (context) => {
  for (const serverId of AT_ONCE) {
    for (const line of await order('maint', serverId)) context.diagnostic(line);
    await goesOn();
    await order('ready', serverId);
    assertNothingFailed();
  }
});

test('every balance is what the clients were told, on every replica', async (context) => {
  await clients.stop();
  assertNothingFailed();
  const slowestMs = Math.round(clients.answered.reduce((most, { tookMs }) => Math.max(most, tookMs), 0));
  const { answered, connections, refused } = clients;
  context.diagnostic(
    `${answered.length} requests, slowest ${slowestMs} ms; ${connections} connections, ${refused} refused`,
  );
  await untilWhole(running.config);
  await running.cluster.stop();
  assertLedger(running.config, clients.expected, clients.expected);
});
