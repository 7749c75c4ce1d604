/**
 * A deposit: update, read and insert in one transaction, on every replica, through all four tiers; beside the same
 * handler on one MariaDB behind a bare server. Every commit is on disk before it is acknowledged, everywhere.
 */

import { startBareAccounts } from './support/bare-servers.ts';
import { runBench } from './support/bench.ts';
import { createAccounts } from './support/create-accounts.ts';
import { startDatabase } from './support/databases.ts';
import type { Goal } from './support/goals.ts';
import { deposits } from './support/load-requests.ts';
import { type LoadedServer, underLoad } from './support/loaded-server.ts';
import { startTrunkline } from './support/trunkline-cluster.ts';

const CONNECTIONS = [1, 8, 32, 64];
const WARM_UP_SECONDS = 2;

const MARIADB = 'Trunkline, 2 MariaDB replicas';
const PEER = 'the same handler on a bare server, 1 MariaDB';
const SQLITE = 'Trunkline, 2 SQLite replicas';

await runBench('write', async (bench) => {
  bench.note('not measured yet: the same handler on two nodes of Galera');
  const servers: LoadedServer[] = [];
  if (bench.has('mariadbd', `${MARIADB}; ${PEER}`)) {
    const databases = [await bench.start(startDatabase), await bench.start(startDatabase)];
    servers.push(await bench.start(() => startTrunkline({ name: MARIADB, databases })));
    const single = await bench.start(startDatabase);
    servers.push(await bench.start(() => startBareAccounts(PEER, single)));
  }
  servers.push(await bench.start(() => startTrunkline({ name: SQLITE })));
  const requests = deposits();
  for (const server of servers) {
    await createAccounts(server.url);
    await underLoad(server, { requests, connections: 64, seconds: WARM_UP_SECONDS });
  }
  const { seconds } = bench.options;
  for (const connections of CONNECTIONS) {
    const measure = (server: LoadedServer) => () => underLoad(server, { requests, connections, seconds });
    const contestants = servers.map((server) => ({ name: server.name, measure: measure(server) }));
    await bench.inTurn(`c = ${connections}`, contestants);
  }
  return CONNECTIONS.flatMap((connections): Goal[] => {
    const goal = { case: `c = ${connections}`, figure: 'requestsPerSecond', against: PEER } as const;
    if (connections < 64) return [{ ...goal, of: MARIADB }];
    return [
      { ...goal, of: MARIADB, bound: { atLeast: 0.8 }, headline: true },
      { ...goal, of: SQLITE },
    ];
  });
});
