/** What ten times as much of something costs: Trunkline beside itself. */
import { type Bench, runBench } from './support/bench.ts';
import { createAccounts } from './support/create-accounts.ts';
import type { FigureName } from './support/figures.ts';
import type { Goal } from './support/goals.ts';
import { costOfIdleConnections } from './support/idle-connections.ts';
import { ACCOUNTS, accountReads, echoGets } from './support/load-requests.ts';
import { type Load, type LoadedServer, underLoad } from './support/loaded-server.ts';
import { startTrunkline } from './support/trunkline-cluster.ts';

const TIMES = 10;
const CONNECTIONS = 64;
const IDLE_CONNECTIONS = 1_000;
const WARM_UP_SECONDS = 2;
const RATIO_MAX = 1.1;

interface Size {
  readonly name: string;
  readonly server: LoadedServer;
  readonly load: Omit<Load, 'seconds'>;
}

/** @returns the goals: each size against the first */
async function compare(bench: Bench, caseName: string, sizes: readonly Size[]): Promise<Goal[]> {
  for (const { server, load } of sizes) await underLoad(server, { ...load, seconds: WARM_UP_SECONDS });
  const { seconds } = bench.options;
  const contestants = sizes.map(({ name, server, load }) => ({
    name,
    measure: () => underLoad(server, { ...load, seconds }),
  }));
  await bench.inTurn(caseName, contestants);
  await bench.close();
  return against(caseName, 'cpuMicrosPerRequest', sizes);
}

function against(caseName: string, figure: FigureName, sizes: readonly { readonly name: string }[]): Goal[] {
  const [first, ...larger] = sizes.map(({ name }) => name);
  const bound = { atMost: RATIO_MAX };
  return larger.map((of) => ({ case: caseName, figure, of, against: first as string, bound, headline: true }));
}

async function accounts(bench: Bench): Promise<Goal[]> {
  const sizes: Size[] = [];
  for (const count of [ACCOUNTS, ACCOUNTS * TIMES]) {
    const name = `${count} accounts`;
    const server = await bench.start(() => startTrunkline({ name }));
    await createAccounts(server.url, count);
    sizes.push({ name, server, load: { requests: accountReads(count), connections: CONNECTIONS } });
  }
  return compare(bench, 'reads', sizes);
}

async function connections(bench: Bench): Promise<Goal[]> {
  const server = await bench.start(() => startTrunkline({ name: 'Trunkline' }));
  const sizes = [CONNECTIONS, CONNECTIONS * TIMES].map((count) => ({
    name: `${count} connections`,
    server,
    load: { requests: echoGets(), connections: count },
  }));
  return compare(bench, 'echo, busy connections', sizes);
}

/** The same load over more dispatchers; then as much more load as there are dispatchers. */
async function dispatchers(bench: Bench): Promise<Goal[]> {
  const goals: Goal[] = [];
  for (const scaled of [false, true]) {
    const sizes: Size[] = [];
    for (const count of [1, 2, 4]) {
      const name = count === 1 ? '1 dispatcher' : `${count} dispatchers`;
      const server = await bench.start(() => startTrunkline({ name, dispatchers: count }));
      const load = { requests: echoGets(), connections: CONNECTIONS * (scaled ? count : 1) };
      sizes.push({ name, server, load });
    }
    goals.push(...(await compare(bench, `echo, ${CONNECTIONS} connections${scaled ? ' a dispatcher' : ''}`, sizes)));
  }
  return goals;
}

/**
 * All memory of the interface server is compared, which is stricter than memory per connection: that is so little that
 * a ratio of it would be one of noise.
 */
async function idleConnections(bench: Bench): Promise<Goal[]> {
  const sizes = [IDLE_CONNECTIONS, IDLE_CONNECTIONS * TIMES].map((count) => ({
    name: `${count} connections`,
    measure: () => costOfIdleConnections(count),
  }));
  await bench.inTurn('interface server, idle connections', sizes);
  return against('interface server, idle connections', 'rssMiB', sizes);
}

await runBench('growth', async (bench) => {
  bench.note('not measured yet: ten times as many buckets moved between groups');
  return [
    ...(await accounts(bench)),
    ...(await connections(bench)),
    ...(await dispatchers(bench)),
    ...(await idleConnections(bench)),
  ];
});
