/** Memory: of servers that idle, of clients that idle, and whether load makes it grow. */
import { systemClock } from '../../shared/clock.ts';
import { type Bench, runBench } from './support/bench.ts';
import { createAccounts } from './support/create-accounts.ts';
import type { Sample } from './support/figures.ts';
import type { Goal } from './support/goals.ts';
import { costOfIdleConnections } from './support/idle-connections.ts';
import { accountReads, deposits, echoGets, echoPosts } from './support/load-requests.ts';
import { median } from './support/median.ts';
import { rssMiB } from './support/process-figures.ts';
import { serverKinds, startLocalTrunkline, type TrunklineServer } from './support/trunkline-cluster.ts';
import { runWrk } from './support/wrk.ts';

const IDLE = 'idle servers';
const IDLE_CONNECTIONS = 5_000;
const CONNECTIONS = 64;

/** An idle server has been up for this long. */
const IDLE_MS = 3_000;
const WARM_UP_SECONDS = 10;
const LOOK_EVERY_MS = 1_000;
/** The first and the last part of the load are compared: their medians, as memory goes up and down with collections. */
const COMPARED_PART = 1 / 5;
/** What is no growth: medians of the same server differ by this much. */
const GROWTH_MAX = 1.05;
const IDLE_MIB_MAX = 70;
const KIB_PER_CONNECTION_MAX = 12;

/** The largest server of each kind. */
function largestOfEachKind(server: TrunklineServer): Map<string, number> {
  const { config, cluster } = server.running;
  return new Map(
    [...serverKinds(config)].map(([kind, ids]) => [
      kind,
      Math.max(...ids.map((id) => rssMiB([cluster.pid(id) as number]))),
    ]),
  );
}

async function idleServers(bench: Bench): Promise<Goal[]> {
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < bench.options.rounds; round++) {
    const server = await bench.start(() => startLocalTrunkline(IDLE));
    await systemClock.sleep(IDLE_MS);
    for (const [kind, mib] of largestOfEachKind(server))
      samples.set(kind, [...(samples.get(kind) ?? []), { rssMiB: mib }]);
    await bench.close();
  }
  for (const [kind, ofKind] of samples) bench.record(IDLE, kind, ofKind);
  const bound = { atMost: IDLE_MIB_MAX };
  return [...samples.keys()].map((of) => ({ case: IDLE, figure: 'rssMiB', of, bound, headline: true }));
}

async function idleConnections(bench: Bench): Promise<Goal[]> {
  const [caseName, of] = ['idle connections', `${IDLE_CONNECTIONS} connections`];
  await bench.inTurn(caseName, [{ name: of, measure: () => costOfIdleConnections(IDLE_CONNECTIONS) }]);
  const bound = { atMost: KIB_PER_CONNECTION_MAX };
  return [{ case: caseName, figure: 'kibPerConnection', of, bound, headline: true }];
}

/** Reads, deposits and echoes, mixed; memory is looked at all the time. */
async function underLoad(bench: Bench): Promise<Goal[]> {
  const { minutes } = bench.options;
  const caseName = `${minutes} minutes of load`;
  const server = await bench.start(() => startLocalTrunkline(caseName));
  await createAccounts(server.url);
  const kinds = [echoGets(), accountReads(), echoPosts(), deposits()];
  const requests = echoGets().flatMap((_, index) => kinds.flatMap((kind) => kind[index] ?? []));
  const load = { url: server.url, requests, connections: CONNECTIONS };
  await runWrk({ ...load, seconds: WARM_UP_SECONDS });
  const looks: Map<string, number>[] = [];
  const looking = systemClock.every(LOOK_EVERY_MS, () => looks.push(largestOfEachKind(server)));
  const { failures } = await runWrk({ ...load, seconds: Math.round(minutes * 60) });
  looking.cancel();
  await bench.close();
  const compared = Math.max(1, Math.round(looks.length * COMPARED_PART));
  const kindNames = [...(looks[0]?.keys() ?? [])];
  for (const kind of kindNames) {
    const sizes = looks.map((look) => look.get(kind) as number);
    const [rssFirstMiB, rssLastMiB] = [median(sizes.slice(0, compared)), median(sizes.slice(-compared))];
    bench.record(caseName, kind, [{ rssFirstMiB, rssLastMiB, rssGrowth: rssLastMiB / rssFirstMiB, failures }]);
  }
  const bound = { atMost: GROWTH_MAX };
  return kindNames.map((of) => ({ case: caseName, figure: 'rssGrowth', of, bound, headline: true }));
}

await runBench('memory', async (bench) => [
  ...(await idleServers(bench)),
  ...(await idleConnections(bench)),
  ...(await underLoad(bench)),
]);
