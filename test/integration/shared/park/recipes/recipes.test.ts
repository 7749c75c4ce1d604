/** Every recipe over links to real coordinators, on a journal and on etcd. */
import { skipReason, TEST_PROGRAMS } from '../../../../../deploy/checks/test-programs.ts';
import { makeIncarnation } from '../../../../../shared/ids.ts';
import { linkSettingsOf } from '../../../../../shared/link/link-settings.ts';
import { silentLogger } from '../../../../../shared/log.ts';
import { ParkClient } from '../../../../../shared/park/park-client.ts';
import { ParkLinkChannel } from '../../../../../shared/park/park-link-channel.ts';
import { systemRandom } from '../../../../../shared/random.ts';
import { EtcdCluster } from '../../../../support/etcd.ts';
import { TrialCoordinators } from '../../../../support/history/trial-coordinators.ts';
import { type RecipePark, recipeConformance } from '../../../../support/recipe-conformance.ts';

/** Longer than a busy machine holds a renewal up: what is tried here is not the loss of sessions. */
const SESSION_TTL_MS = 10_000;

function parkOf(set: TrialCoordinators, closeMore: () => Promise<void>): RecipePark {
  const { cluster, coordinator } = set.config;
  const clients: ParkClient[] = [];
  const client = (name: string): ParkClient => {
    const incarnation = makeIncarnation(systemRandom);
    const channel = new ParkLinkChannel({
      coordinators: coordinator.servers.map(({ listen }) => listen),
      identity: { cluster, token: set.token, role: 'tool', serverId: name, incarnation },
      settings: linkSettingsOf(set.config),
      log: silentLogger,
    });
    const made = new ParkClient({ channel, name, sessionTtlMs: SESSION_TTL_MS });
    made.start();
    clients.push(made);
    return made;
  };
  const close = async (): Promise<void> => {
    for (const one of clients) one.close();
    await set.close();
    await closeMore();
  };
  return { client, close };
}

recipeConformance('a coordinator with a journal', async () => {
  return parkOf(await TrialCoordinators.start({ count: 1 }), async () => {});
});

recipeConformance(
  'two coordinators on etcd',
  async () => {
    const etcd = await EtcdCluster.start(1);
    return parkOf(await TrialCoordinators.start({ count: 2, etcd: etcd.endpoints }), () => etcd.stop());
  },
  skipReason(TEST_PROGRAMS.etcd),
);
