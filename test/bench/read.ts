/**
 * One row by its account: a service's `ctx.db.read` through all four tiers, beside mysql2 behind a bare server.
 *
 * The peer reads the same row of one MariaDB; ours has two replicas, of SQLite and of MariaDB.
 */

import { startBareAccounts } from './support/bare-servers.ts';
import { runBench } from './support/bench.ts';
import { createAccounts } from './support/create-accounts.ts';
import { startDatabase } from './support/databases.ts';
import { accountReads } from './support/load-requests.ts';
import { type LoadedServer, underLoad } from './support/loaded-server.ts';
import { startTrunkline } from './support/trunkline-cluster.ts';

const CONNECTIONS = [1, 64, 256];
const WARM_UP_SECONDS = 2;

const SQLITE = 'Trunkline, 2 SQLite replicas';
const MARIADB = 'Trunkline, 2 MariaDB replicas';
const PEER = 'mysql2 on a bare server, 1 MariaDB';

await runBench('read', async (bench) => {
  const servers: LoadedServer[] = [await bench.start(() => startTrunkline({ name: SQLITE }))];
  if (bench.has('mariadbd', `${MARIADB}; ${PEER}`)) {
    const databases = [await bench.start(startDatabase), await bench.start(startDatabase)];
    servers.push(await bench.start(() => startTrunkline({ name: MARIADB, databases })));
    const single = await bench.start(startDatabase);
    servers.push(await bench.start(() => startBareAccounts(PEER, single)));
  }
  const requests = accountReads();
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
  return CONNECTIONS.flatMap((connections) => {
    const goal = { case: `c = ${connections}`, figure: 'requestsPerSecond', against: PEER } as const;
    const bound = { atLeast: 0.8 };
    return [
      { ...goal, of: MARIADB, bound, headline: connections === 64 },
      { ...goal, of: SQLITE },
    ];
  });
});
