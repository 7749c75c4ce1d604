/**
 * A process that takes a lock of the park and, while it has it, writes to replicas with the lock's token:
 * `node lock-holder-child.ts '<HolderOrders>'`. It is naive on purpose: once it holds the lock it never looks again
 * whether it still does, as one that is stopped between looking and writing.
 *
 * Prints lines: `holds TOKEN`, `wrote TOKEN REQUEST_ID` for each acknowledged write, `refused TOKEN` when the database
 * refused one, after which it takes the lock anew, and `failed CODE` for what else went wrong.
 */
import process from 'node:process';
import { ReplicatedStore } from '../../../db/replicated-store.ts';
import { systemClock } from '../../../shared/clock.ts';
import type { ClusterConfig, ReplicaConfig } from '../../../shared/config/cluster-schema.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { makeIncarnation } from '../../../shared/ids.ts';
import { linkSettingsOf } from '../../../shared/link/link-settings.ts';
import { silentLogger } from '../../../shared/log.ts';
import { ParkClient } from '../../../shared/park/park-client.ts';
import { ParkLinkChannel } from '../../../shared/park/park-link-channel.ts';
import { systemRandom } from '../../../shared/random.ts';
import { inMs, TEST_SCHEMA } from '../store-conformance.ts';

export interface HolderOrders {
  readonly name: string;
  readonly config: ClusterConfig;
  readonly token: string;
  readonly replicas: readonly ReplicaConfig[];
  readonly folder: string;
}

export const LOCK_DOMAIN = 'trial.fenced';
/** Of every fence: what the lock protects. */
export const FENCE_NAME = 'trial/fenced';
const LOOK_EVERY_MS = 10;
/** Between two writes: it can be stopped here, where no transaction is open. */
const PAUSE_MS = 300;
const AGAIN_AFTER_MS = 100;

const { name, config, token: clusterToken, replicas, folder } = JSON.parse(process.argv[2] ?? '{}') as HolderOrders;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const { cluster, coordinator } = config;
const incarnation = makeIncarnation(systemRandom);
const channel = new ParkLinkChannel({
  coordinators: coordinator.servers.map(({ listen }) => listen),
  identity: { cluster, token: clusterToken, role: 'tool', serverId: name, incarnation },
  settings: linkSettingsOf(config),
  log: silentLogger,
});
const park = new ParkClient({ channel, name });
park.start();
const store = await ReplicatedStore.open({
  groupId: 'g1',
  replicas,
  dataFolder: folder,
  secretsFolder: folder,
  schema: TEST_SCHEMA,
  log: silentLogger,
});

/** @returns the token; throws when the node has gone meanwhile */
async function takeLock(node: string): Promise<number> {
  const { revision } = await park.create(LOCK_DOMAIN, node, name, { ephemeral: true });
  for (;;) {
    const waiting = await park.getDomain(LOCK_DOMAIN);
    const [oldest] = waiting.toSorted((a, b) => a.createRevision - b.createRevision);
    if (oldest?.node === node) return revision;
    if (!waiting.some((one) => one.node === node)) throw new PlatformError('PARK_NODE_UNKNOWN', 'its session ended');
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}

async function write(requestId: string, token: number): Promise<void> {
  const fence = { name: FENCE_NAME, token };
  const request = { requestId, fingerprint: 'f', account: 'fenced', bucket: 1, deadlineAtMs: inMs(20_000), fence };
  await store.write(request, async (tx) => {
    await tx.execute('INSERT INTO things (name, whole) VALUES (?, ?)', [requestId, token]);
  });
}

const life = systemRandom.bytes(4).toString('hex');
for (let turn = 1; ; turn++) {
  let token = 0;
  try {
    token = await takeLock(`${name}.${life}.${turn}`);
    say(`holds ${token}`);
    for (let number = 1; ; number++) {
      const requestId = `${name}.${life}.${turn}.${number}`;
      await write(requestId, token);
      say(`wrote ${token} ${requestId}`);
      await systemClock.sleep(PAUSE_MS);
    }
  } catch (thrown) {
    const code = thrown instanceof PlatformError ? thrown.code : String(thrown);
    say(code === 'FENCE_OUTDATED' ? `refused ${token}` : `failed ${code}`);
    await systemClock.sleep(AGAIN_AFTER_MS);
  }
}
