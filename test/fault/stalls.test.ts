/**
 * A server that stops answering, or answers badly, is ejected with a verdict that says why, and comes back by itself.
 * Everything else goes on: from RECOVERED_MS after the stall on, requests are as quick as before it.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';
import { type Answered, SteadyClients } from '../support/steady-clients.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

const STALL_MS = lengthOf(3_000, 15_000);
/** A bad peer's rest; the default in a soak. */
const EJECT_MS = lengthOf(1_500, 10_000);
const EJECTED_WITHIN_MS = 1_000;
const RECOVERED_MS = 2_000;
const BAD_EJECTED_WITHIN_MS = 10_000;

let running: TestCluster;

before(async () => {
  running = await startTestCluster({
    change: (config) => {
      config.services = [...config.services, 'test/support/services/moody'];
      config.health.ejectMs = EJECT_MS;
    },
  });
  await untilWhole(running.config);
});

after(async () => {
  await running.close();
});

interface View {
  readonly state: string;
  readonly reason: string;
}

interface StatusView {
  readonly dispatchers?: readonly (View & { readonly id: string })[];
  readonly groups?: readonly { readonly appServers: readonly (View & { readonly id: string })[] }[];
}

/** What every server that sends requests to a server thinks of it. */
async function verdicts(serverId: string): Promise<View[]> {
  const { interface: front, dispatcher } = running.config;
  const senders = [...front.servers, ...dispatcher.servers].filter(({ id }) => id !== serverId); // it may be stopped
  const views = await Promise.all(
    senders.map(async ({ admin }) => {
      const status = (await (await fetch(`http://${admin}/-/status`)).json()) as StatusView;
      const peers = [...(status.dispatchers ?? []), ...(status.groups ?? []).flatMap(({ appServers }) => appServers)];
      return peers.filter(({ id }) => id === serverId);
    }),
  );
  return views.flat();
}

/** Resolves once every sender thinks so. @returns the verdicts, and how long it took */
async function untilVerdict(serverId: string, states: readonly string[]): Promise<{ views: View[]; tookMs: number }> {
  const startedAtMs = performance.now();
  const views = await eventually(
    `${serverId} ${states.join(' or ')}`,
    async () => {
      const now = await verdicts(serverId);
      return now.length > 0 && now.every(({ state }) => states.includes(state)) ? now : undefined;
    },
    20_000,
    20,
  );
  return { views, tookMs: performance.now() - startedAtMs };
}

const p99 = (answered: readonly Answered[]): number => {
  const sorted = answered.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
};

function clientsOf(write: boolean): SteadyClients {
  return new SteadyClients({ urls: running.urls, clients: 12, accounts: 12, thinkMs: 2, write, read: '/moody/' });
}

/** Stalls a server under load, and looks at what its peers and the clients make of it. */
async function stall(serverId: string, clients: SteadyClients, report: (line: string) => void): Promise<void> {
  await clients.start();
  await eventually('requests', () => clients.answered.length > 400, 20_000);
  const quietP99Ms = p99(clients.answered.slice(100));
  const stalledAtMs = performance.now();
  running.cluster.kill(serverId, 'SIGSTOP');
  try {
    const { views, tookMs } = await untilVerdict(serverId, ['suspect']);
    for (const { reason } of views) assert.match(reason, /^silent for \d+ ms \(limit 700 ms\)$/);
    report(`${serverId}: out after ${Math.round(tookMs)} ms: ${views[0]?.reason}`);
    assert.ok(tookMs <= EJECTED_WITHIN_MS, `ejected after ${tookMs} ms`);
    await pause(STALL_MS - (performance.now() - stalledAtMs));
  } finally {
    running.cluster.kill(serverId, 'SIGCONT');
  }
  const goesOnAtMs = performance.now();
  report(`${serverId}: back ${Math.round((await untilVerdict(serverId, ['ready'])).tookMs)} ms after it goes on`);
  await clients.stop();
  const rest = clients.answered.filter(
    ({ sentAtMs }) => sentAtMs > stalledAtMs + RECOVERED_MS - 1_000 && sentAtMs < goesOnAtMs,
  );
  const caught = clients.answered.filter(
    ({ sentAtMs }) => sentAtMs >= stalledAtMs - 50 && sentAtMs < stalledAtMs + 1_000,
  );
  const slowestMs = Math.max(...caught.map(({ tookMs }) => tookMs));
  report(
    `p99 ${quietP99Ms.toFixed(1)} ms before, ${p99(rest).toFixed(1)} ms of ${rest.length} after; slowest ${Math.round(slowestMs)} ms; ${clients.failed} failed: ${clients.failures.slice(0, 3).join(' | ')}`,
  );
}

test('a stalled app server is ejected, and what it had goes to the other one of its group', async (context) => {
  await stall('g1a', clientsOf(false), (line) => context.diagnostic(line));
});

test('a stalled dispatcher is ejected, and what it had goes to the other one', async (context) => {
  await stall('d1', clientsOf(false), (line) => context.diagnostic(line));
});

test('a stalled app server in the middle of writes', async (context) => {
  await stall('g1b', clientsOf(true), (line) => context.diagnostic(line));
});

/** Writes an app server's mood for test/support/services/moody. */
function setMood(serverId: string, mood: { readonly delayMs?: number; readonly failsHalf?: boolean }): void {
  const file = path.join(running.dataFolder, `mood-${serverId}.json`);
  fs.writeFileSync(`${file}.new`, JSON.stringify(mood));
  fs.renameSync(`${file}.new`, file);
}

for (const { what, mood, reason } of [
  {
    what: 'that fails every second request',
    mood: { failsHalf: true },
    reason: /% of its replies failed|consecutive failures/,
  },
  {
    what: 'that is 500 ms slower than the other',
    mood: { delayMs: 500 },
    reason: /its replies take \d+ ms \(others \d+ ms\)/,
  },
]) {
  test(`an app server ${what} is ejected, the last one never, and it returns`, async (context) => {
    const clients = clientsOf(false);
    await clients.start();
    await eventually('requests', () => clients.answered.length > 400, 20_000);
    setMood('g1a', mood);
    const { views, tookMs } = await untilVerdict('g1a', ['ejected']);
    context.diagnostic(`g1a: out after ${Math.round(tookMs)} ms: ${views.map((view) => view.reason).join(' | ')}`);
    for (const view of views) assert.match(view.reason, reason);
    assert.ok(tookMs <= BAD_EJECTED_WITHIN_MS, `ejected after ${tookMs} ms`);
    setMood('g1b', mood);
    const failedBefore = clients.failed;
    await pause(EJECT_MS / 3);
    for (const view of await verdicts('g1b')) assert.equal(view.state, 'ready');
    setMood('g1a', {});
    setMood('g1b', {});
    const back = await untilVerdict('g1a', ['ready']);
    context.diagnostic(
      `g1a: back ${Math.round(back.tookMs)} ms after its mood is good; ${failedBefore} failed before, ${clients.failed} in all`,
    );
    await clients.stop();
  });
}
