/** A local cluster of stand-ins in a process of its own, so that a test can kill it. Prints its servers' process ids. */
import { startLocalCluster } from '../../../deploy/local-cluster/local-cluster.ts';
import { standInOptions } from './stand-in-cluster.ts';

const dataFolder = process.argv[2] ?? '';
const cluster = await startLocalCluster(await standInOptions(dataFolder));
await cluster.waitReady();
process.stdout.write(`${JSON.stringify(cluster.servers().map((server) => server.pid))}\n`);
