/**
 * A server that stops answering, or answers badly, is ejected with a verdict that says why, and comes back by itself.
 * Everything else goes on: from RECOVERED_MS after the stall on, requests are as quick as before it.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { DepositLoad } from '../../support/deposit-load.ts';
import { eventually } from '../../support/eventually.ts';
import { lengthOf, SOAK } from '../../support/soak.ts';
import { type Answered, SteadyClients } from '../../support/steady-clients.ts';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';
import { untilWhole } from '../../support/whole-cluster.ts';

const STALL_MS = lengthOf(2_600, 15_000);
/** A bad peer's rest; the default in a soak. */
const EJECT_MS = lengthOf(1_500, 10_000);
const EJECTED_WITHIN_MS = 1_000;
const RECOVERED_MS = 2_000;
/** A noisy machine may make the rest this slow; a request caught by a stall takes at least `health.pongSuspectMs` more. */
const QUICK_MS = 500;
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

/** Clients that read. @param read path before the account */
async function readers(read: string): Promise<SteadyClients> {
  const clients = new SteadyClients({ urls: running.urls, clients: 12, accounts: 12, thinkMs: 2, write: false, read });
  await clients.start();
  await eventually('requests', () => clients.answered.length > 500, 20_000);
  return clients;
}

interface Stall {
  readonly stoppedAtMs: number;
  readonly goesOnAtMs: number;
  /** Until every sender had it out. */
  readonly ejectedAfterMs: number;
}

/** Stops a server for a while. @param pauseMs undefined: until it is ejected */
async function stall(serverId: string, pauseMs: number | undefined, report: (line: string) => void): Promise<Stall> {
  await untilVerdict(serverId, ['ready']);
  const stoppedAtMs = performance.now();
  running.cluster.kill(serverId, 'SIGSTOP');
  let ejectedAfterMs = 0;
  try {
    // A sender that had it out for its slow replies by then has no need to notice the silence.
    const { views, tookMs } = await untilVerdict(serverId, ['suspect', 'ejected']);
    ejectedAfterMs = tookMs;
    for (const { reason } of views)
      assert.match(reason, /^(silent for \d+ ms \(limit 700 ms\)$|ejected: its replies take )/);
    report(`${serverId} out after ${Math.round(tookMs)} ms: ${views[0]?.reason}`);
    if (pauseMs !== undefined) await pause(pauseMs - (performance.now() - stoppedAtMs));
  } finally {
    running.cluster.kill(serverId, 'SIGCONT');
  }
  const goesOnAtMs = performance.now();
  const { tookMs } = await untilVerdict(serverId, ['ready']);
  report(`${serverId} back after ${Math.round(tookMs)} ms`);
  return { stoppedAtMs, goesOnAtMs, ejectedAfterMs };
}

/** A long stall; when its ejection took too long, two more, and the middle one of the three counts. */
async function stallForLong(serverId: string, report: (line: string) => void): Promise<Stall> {
  const long = await stall(serverId, STALL_MS, report);
  const tookMs = [long.ejectedAfterMs];
  if (SOAK || long.ejectedAfterMs > EJECTED_WITHIN_MS)
    for (let more = 0; more < 2; more++) tookMs.push((await stall(serverId, undefined, report)).ejectedAfterMs);
  const middleMs = tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length / 2)] ?? 0;
  assert.ok(middleMs <= EJECTED_WITHIN_MS, `ejected after ${middleMs} ms`);
  return long;
}

/** From RECOVERED_MS after the stall on, while it lasts, requests are as quick as before it, and none has failed. */
function assertRecovered(clients: SteadyClients, quietP99Ms: number, at: Stall, report: (line: string) => void): void {
  const { answered } = clients;
  const rest = answered.filter(({ sentAtMs }) => sentAtMs > at.stoppedAtMs + RECOVERED_MS && sentAtMs < at.goesOnAtMs);
  const slowestMs = answered.reduce((most, { tookMs }) => Math.max(most, tookMs), 0);
  const restP99Ms = p99(rest);
  report(
    `p99 ${quietP99Ms.toFixed(1)} ms before, ${restP99Ms.toFixed(1)} ms of ${rest.length} requests after ${RECOVERED_MS} ms; the slowest of all ${Math.round(slowestMs)} ms`,
  );
  assert.deepEqual(clients.failures, []);
  assert.ok(rest.length > 100, `${rest.length} requests`);
  assert.ok(restP99Ms <= Math.max(3 * quietP99Ms, QUICK_MS), `p99 ${restP99Ms} ms, before ${quietP99Ms} ms`);
}

test('a stalled dispatcher is ejected within a second, what it had goes to another one, and it returns', async (context) => {
  const report = (line: string): void => context.diagnostic(line);
  const clients = await readers('/moody/');
  try {
    const quietP99Ms = p99(clients.answered.slice(100));
    assertRecovered(clients, quietP99Ms, await stallForLong('d1', report), report);
  } finally {
    await clients.stop();
  }
});

// A process that is stopped in the middle of a commit holds the locks of its group's SQLite files: writes of that group
// wait for it, or are refused, until it goes on. Reads and other groups do not.
test('a stalled app server is ejected the same way; its group writes on when it goes on, and nothing is lost or doubled', async (context) => {
  const report = (line: string): void => context.diagnostic(line);
  const writers = new DepositLoad({ urls: running.urls, accounts: 24, clients: 8 });
  await writers.start();
  const clients = await readers('/accounts/');
  try {
    const quietP99Ms = p99(clients.answered.slice(100));
    assertRecovered(clients, quietP99Ms, await stallForLong('g1b', report), report);
    const { acknowledged } = writers;
    await eventually('writes go on', () => writers.acknowledged > acknowledged + 20, 20_000);
  } finally {
    await clients.stop();
    await writers.stop();
  }
  const refusals = JSON.stringify(Object.fromEntries(writers.refusals));
  report(
    `${writers.acknowledged} deposits, the slowest ${Math.round(writers.slowestMs)} ms; refused at first: ${refusals}`,
  );
  for (const [account, balance] of writers.expected) {
    const response = await fetch(`${running.urls[0]}/accounts/${account}`);
    assert.deepEqual(await response.json(), { account, balance });
  }
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
    await untilVerdict('g1a', ['ready']);
    const clients = await readers('/moody/');
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
