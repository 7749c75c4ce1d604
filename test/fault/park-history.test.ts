/**
 * What clients of the park hear is what one park, doing one thing after the other, could have said: under kill -9 and
 * restarts of its coordinator at random instants, stops, ways cut in one direction, and clocks that jump. A lock has one
 * holder, tokens grow, watches skip and repeat nothing.
 */
import { after, before, test } from 'node:test';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import type { Direction } from '../support/history/one-way-proxy.ts';
import { aWhile, ParkTrial } from '../support/history/park-trial.ts';
import { TrialCoordinators } from '../support/history/trial-coordinators.ts';
import { lengthOf } from '../support/soak.ts';

const HOUR_MS = 3_600_000;
/** KILL_SEED repeats the plan of a run; what the clients do in between is up to the machine. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const TURNS = lengthOf(1, 40);
/** A session lives for 1 s, and a moment. */
const BEYOND_LEASE_MS = 2_200;

const random = seededRandom(SEED);
let set: TrialCoordinators;
let trial: ParkTrial;

before(async () => {
  set = await TrialCoordinators.start({ count: 1 });
  trial = await ParkTrial.start(set, seededRandom(SEED + 1));
});

after(async () => {
  trial?.close();
  await set?.close();
});

async function killAndRestart(): Promise<void> {
  await aWhile(random, 400);
  await set.kill('c1');
  await aWhile(random, 300);
  set.startOne('c1');
}

async function stopFor(msMax: number): Promise<void> {
  set.signal('c1', 'SIGSTOP');
  await aWhile(random, msMax);
  set.signal('c1', 'SIGCONT');
}

/** Of half the clients, so that the others go on meanwhile. */
async function cutOff(...directions: readonly Direction[]): Promise<void> {
  const some = trial.clients.filter((_, index) => index % 2 === 0);
  for (const client of some) client.cut(...directions);
  await aWhile(random, BEYOND_LEASE_MS);
  for (const client of some) client.heal();
}

const HARMS: Readonly<Record<string, () => Promise<void>>> = {
  'is killed and started again': killAndRestart,
  'is killed as it comes back': async () => {
    await killAndRestart();
    await aWhile(random, 600);
    await killAndRestart();
  },
  'stops for a moment': () => stopFor(400),
  'stops for longer than sessions live': () => stopFor(BEYOND_LEASE_MS),
  'no longer hears some of its clients': () => cutOff('to-server'),
  'is no longer heard by some of its clients': () => cutOff('to-client'),
  'is cut off from some of its clients': () => cutOff('to-server', 'to-client'),
  'has done what its clients never hear of, and is killed': async () => {
    for (const client of trial.clients) client.cut('to-client');
    await killAndRestart();
    for (const client of trial.clients) client.reset();
  },
  'no longer hears the holder of the lock': () => trial.cutOffHolder('to-server'),
  'is no longer heard by the holder of the lock': () => trial.cutOffHolder('to-client'),
  'has a clock that jumps, and is killed with it wrong': async () => {
    for (const offsetMs of [HOUR_MS, -HOUR_MS]) {
      set.setClock('c1', offsetMs);
      await trial.goesOn();
    }
    await killAndRestart();
    set.setClock('c1', 0);
  },
};

for (let turn = 1; turn <= TURNS; turn++)
  for (const [what, harm] of Object.entries(HARMS))
    test(`clients go on after the coordinator ${what}${TURNS === 1 ? '' : ` (${turn})`}`, () => trial.round(harm));

test('all that was heard has an order, the lock had one holder at a time, watches skipped nothing', async (context) => {
  const figures = await trial.judge();
  context.diagnostic(`KILL_SEED=${SEED}: ${figures}`);
});
