/**
 * How fast a small request crosses the four tiers, beside what a user would build instead, in the same run.
 *
 * 1 interface server, 1 dispatcher, 2 app servers, the echo service; then 4 dispatchers. Keep-alive wrk over a thousand
 * accounts. The load generator shares the machine with the servers: read the ratios and the CPU per request.
 */
import assert from 'node:assert/strict';
import { BARE, startBareEcho } from './support/bare-servers.ts';
import { runBench } from './support/bench.ts';
import type { Goal } from './support/goals.ts';
import { echoGets, echoPosts, type LoadRequest } from './support/load-requests.ts';
import { type LoadedServer, underLoad } from './support/loaded-server.ts';
import { startHaproxyChain, startNginxChain } from './support/proxy-chains.ts';
import { startTrunkline } from './support/trunkline-cluster.ts';

const CONNECTIONS = [1, 64, 256];
const WARM_UP_SECONDS = 2;

const KINDS = [
  { kind: 'GET', requests: echoGets() },
  { kind: 'POST 1 KiB', requests: echoPosts() },
];

const OURS = 'Trunkline';
const NGINX = 'nginx → nginx';
const HAPROXY = 'HAProxy → HAProxy';

/** Everybody answers the same: else it would be two different works that are compared. */
async function requireSameAnswers(servers: readonly LoadedServer[]): Promise<void> {
  for (const { requests } of KINDS) {
    const [request] = requests as [LoadRequest];
    const answers = await Promise.all(servers.map((server) => answerOf(server.url, request)));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
  }
}

async function answerOf(url: string, { method, target, body }: LoadRequest): Promise<unknown> {
  const sent = body === '' ? {} : { body, headers: { 'content-type': 'application/json' } };
  const response = await fetch(url + target, { method, ...sent });
  return [response.status, response.headers.get('content-type'), await response.text()];
}

function goals(): Goal[] {
  return KINDS.flatMap(({ kind }) =>
    CONNECTIONS.flatMap((connections): Goal[] => {
      const of = { case: `${kind}, c = ${connections}`, of: OURS };
      if (connections === 1) {
        return [
          { ...of, figure: 'p50Micros', against: NGINX, bound: { atMost: 1.1 }, headline: true },
          { ...of, figure: 'p50Micros', against: HAPROXY },
        ];
      }
      const headline = connections === 64;
      return [
        { ...of, figure: 'requestsPerSecond', against: NGINX, bound: { atLeast: 2.5 }, headline },
        { ...of, figure: 'cpuMicrosPerRequest', against: NGINX, bound: { atMost: 0.4 }, headline },
        { ...of, figure: 'cpuMicrosPerRequest', against: BARE, bound: { atMost: 2 }, headline },
        { ...of, figure: 'requestsPerSecond', against: HAPROXY, headline },
        { ...of, figure: 'cpuMicrosPerRequest', against: HAPROXY, headline },
      ];
    }),
  );
}

await runBench('route', async (bench) => {
  const servers: LoadedServer[] = [
    await bench.start(() => startTrunkline({ name: OURS })),
    ...(await bench.startPeer('nginx', NGINX, startNginxChain)),
    ...(await bench.startPeer('haproxy', HAPROXY, startHaproxyChain)),
    await bench.start(startBareEcho),
    await bench.start(() => startTrunkline({ name: 'Trunkline, 4 dispatchers', dispatchers: 4 })),
  ];
  await requireSameAnswers(servers);
  for (const { requests } of KINDS) {
    for (const server of servers) await underLoad(server, { requests, connections: 64, seconds: WARM_UP_SECONDS });
  }
  const { seconds } = bench.options;
  for (const { kind, requests } of KINDS) {
    for (const connections of CONNECTIONS) {
      const measure = (server: LoadedServer) => () => underLoad(server, { requests, connections, seconds });
      const contestants = servers.map((server) => ({ name: server.name, measure: measure(server) }));
      await bench.inTurn(`${kind}, c = ${connections}`, contestants);
    }
  }
  return goals();
});
