/**
 * The same as park-history.test.ts with the park in a real etcd, of one node and of three, and two coordinators: nodes of
 * etcd are killed and stopped, the leading one and another, and so are coordinators, the leading one and the other; ways
 * are cut and clocks jump.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { skipReason, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { aWhile, ParkTrial } from '../support/history/park-trial.ts';
import { TrialCoordinators } from '../support/history/trial-coordinators.ts';
import { lengthOf } from '../support/soak.ts';

const skip = skipReason(TEST_PROGRAMS.etcd);
/** KILL_SEED repeats the plan of a run; what the clients do in between is up to the machine. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const TURNS = lengthOf(1, 20);
const HOUR_MS = 3_600_000;
/** etcd grants a session 2 s and more. */
const BEYOND_LEASE_MS = 4_500;

for (const size of [1, 3] as const) {
  describe(`a park in ${size} etcd node${size === 1 ? '' : 's'}`, { skip }, () => {
    const random = seededRandom(SEED + size);
    let etcd: EtcdCluster;
    let set: TrialCoordinators;
    let trial: ParkTrial;

    before(async () => {
      etcd = await EtcdCluster.start(size);
      set = await TrialCoordinators.start({ count: 2, etcd: etcd.endpoints });
      trial = await ParkTrial.start(set, seededRandom(SEED + 10 + size));
    });

    after(async () => {
      trial?.close();
      await set?.close();
      await etcd?.stop();
    });

    async function killNode(name: string): Promise<void> {
      await aWhile(random, 300);
      await etcd.signal(name, 'SIGKILL');
      await aWhile(random, 1_500);
      etcd.startNode(name);
      await etcd.untilHealthy();
    }

    async function stopNode(name: string): Promise<void> {
      await etcd.signal(name, 'SIGSTOP');
      await aWhile(random, 1_500);
      await etcd.signal(name, 'SIGCONT');
      await etcd.untilHealthy();
    }

    async function killCoordinator(id: string): Promise<void> {
      await aWhile(random, 300);
      await set.kill(id);
      await set.untilLed(set.ids.filter((other) => other !== id));
      await trial.goesOn();
      set.startOne(id);
      await set.untilLed();
    }

    const harms: Record<string, () => Promise<void>> = {
      'etcd’s leading node is killed': async () => killNode(await etcd.leader()),
      'the leading coordinator is killed': async () => killCoordinator(await set.untilLed()),
      'the other coordinator is killed': async () => {
        const leader = await set.untilLed();
        await killCoordinator(set.ids.find((id) => id !== leader) ?? '');
      },
      'the leading coordinator stops beyond its lease': async () => {
        const leader = await set.untilLed();
        set.signal(leader, 'SIGSTOP');
        const next = await set.untilLed(
          set.ids.filter((id) => id !== leader),
          leader,
        );
        await trial.goesOn();
        set.signal(leader, 'SIGCONT');
        assert.equal(await set.untilLed(set.ids, leader), next);
      },
      'some clients are no longer heard, then no longer hear': async () => {
        const some = trial.clients.filter((_, index) => index % 2 === 0);
        for (const direction of ['to-server', 'to-client'] as const) {
          for (const client of some) client.cut(direction);
          await aWhile(random, BEYOND_LEASE_MS);
          for (const client of some) client.heal();
          await trial.goesOn();
        }
      },
      'the leading coordinator has done what clients never hear of, and is killed': async () => {
        for (const client of trial.clients) client.cut('to-client');
        await aWhile(random, 300);
        const leader = await set.untilLed();
        await set.kill(leader);
        for (const client of trial.clients) client.reset();
        await trial.goesOn();
        set.startOne(leader);
        await set.untilLed();
      },
      'the lock’s holder is cut off': () => trial.cutOffHolder('to-server', 'to-client'),
      'the leading coordinator has a clock that jumps, and is killed with it wrong': async () => {
        const leader = await set.untilLed();
        for (const offsetMs of [HOUR_MS, -HOUR_MS]) {
          set.setClock(leader, offsetMs);
          await trial.goesOn();
        }
        await killCoordinator(leader);
        set.setClock(leader, 0);
      },
      'etcd’s leading node stops for a while': async () => stopNode(await etcd.leader()),
    };
    if (size === 3)
      harms['another node of etcd is killed'] = async () => {
        const leader = await etcd.leader();
        await killNode(etcd.names.find((name) => name !== leader) ?? '');
      };

    for (let turn = 1; turn <= TURNS; turn++)
      for (const [what, harm] of Object.entries(harms))
        test(`clients go on after ${what}${TURNS === 1 ? '' : ` (${turn})`}`, () => trial.round(harm));

    test('all that was heard has an order, the lock had one holder at a time, watches skipped nothing', async (context) => {
      const figures = await trial.judge();
      context.diagnostic(`KILL_SEED=${SEED}: ${figures}`);
    });
  });
}
