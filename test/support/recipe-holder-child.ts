/**
 * A process that leads an election for as long as it can: `node recipe-holder-child.ts '<RecipeHolderOrders>'`.
 * Prints `leads TOKEN`, `lost TOKEN`, and `works TOKEN` for each step that it takes while it is sure; SIGTERM ends it
 * cleanly.
 */
import process from 'node:process';
import { systemClock } from '../../shared/clock.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { makeIncarnation } from '../../shared/ids.ts';
import { linkSettingsOf } from '../../shared/link/link-settings.ts';
import { silentLogger } from '../../shared/log.ts';
import { ParkClient } from '../../shared/park/park-client.ts';
import { ParkLinkChannel } from '../../shared/park/park-link-channel.ts';
import { LeaderElection } from '../../shared/park/recipes/leader-election.ts';
import { systemRandom } from '../../shared/random.ts';

export interface RecipeHolderOrders {
  readonly name: string;
  readonly config: ClusterConfig;
  readonly token: string;
  readonly domain: string;
  readonly sessionTtlMs: number;
}

const WORK_EVERY_MS = 20;
const WAIT_MS = 600_000;

const orders = JSON.parse(process.argv[2] ?? '{}') as RecipeHolderOrders;
const { name, config, domain, sessionTtlMs } = orders;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const channel = new ParkLinkChannel({
  coordinators: config.coordinator.servers.map(({ listen }) => listen),
  identity: {
    cluster: config.cluster,
    token: orders.token,
    role: 'tool',
    serverId: name,
    incarnation: makeIncarnation(systemRandom),
  },
  settings: linkSettingsOf(config),
  log: silentLogger,
});
const park = new ParkClient({ channel, name, sessionTtlMs });
park.start();
const election = new LeaderElection(park, domain);
let isEnding = false;
let releaseIt = async (): Promise<void> => {};
process.on('SIGTERM', () => {
  isEnding = true;
  void releaseIt().then(() => process.exit(0));
});

while (!isEnding) {
  const { hold } = await election.campaign(name, { timeoutMs: WAIT_MS });
  releaseIt = () => hold.release();
  say(`leads ${hold.token}`);
  hold.signal.addEventListener('abort', () => say(`lost ${hold.token}`));
  while (hold.isHeld) {
    say(`works ${hold.token}`);
    await systemClock.sleep(WORK_EVERY_MS);
  }
}
