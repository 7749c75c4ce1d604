/**
 * An app server's store in a process of its own, to be killed: `node store-child.ts '<ChildOrders>'`.
 * Prints `ready`, then the request id of every acknowledged deposit, a line each.
 */
import process from 'node:process';
import { type CommitStep, ReplicatedStore } from '../../db/replicated-store.ts';
import type { ReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { silentLogger } from '../../shared/log.ts';
import { deposit, TEST_SCHEMA } from './store-conformance.ts';

export interface ChildOrders {
  readonly replicas: readonly ReplicaConfig[];
  readonly folder: string;
  /** The process kills itself when a commit gets there; left out: it lives until it is killed. */
  readonly dieAt?: CommitStep;
  readonly account: string;
  /** Deposits of 1, with request ids `<prefix>-<n>`, so many at a time. */
  readonly prefix: string;
  readonly deposits: number;
  readonly atOnce: number;
}

const orders = JSON.parse(process.argv[2] ?? '{}') as ChildOrders;
const die = (): void => void process.kill(process.pid, 'SIGKILL');
let armed = false;
const store = await ReplicatedStore.open({
  groupId: 'g1',
  replicas: orders.replicas,
  dataFolder: orders.folder,
  secretsFolder: orders.folder,
  schema: TEST_SCHEMA,
  log: silentLogger,
  // Opening takes locks too; only the deposits are to be cut short.
  hooks: orders.dieAt === undefined ? {} : { [orders.dieAt]: () => armed && die() },
});
armed = true;
process.stdout.write('ready\n');
let next = 0;
const one = async (): Promise<void> => {
  while (next < orders.deposits) {
    const requestId = `${orders.prefix}-${next}`;
    next += 1;
    await deposit(store, orders.account, 1, { requestId });
    process.stdout.write(`${requestId}\n`);
  }
};
await Promise.all(Array.from({ length: orders.atOnce }, one));
await store.close();
