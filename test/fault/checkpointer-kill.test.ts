/**
 * A checkpointer killed with SIGKILL while it sends snapshots, and a coordinator while it takes them over and drops what
 * they show: the one goes on without the other, nothing acknowledged is lost, and the next snapshot is taken. A
 * coordinator that was only paused while its checkpointer was promoted serves nothing when it goes on.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promote } from '../../deploy/cli/coordinator.ts';
import type { ServerConfig } from '../../shared/config/cluster-schema.ts';
import { toPlatformError } from '../../shared/errors.ts';
import type { ParkClient } from '../../shared/park/park-client.ts';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import { type CoordinatorProcess, CoordinatorSet } from '../support/coordinator-set.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';

/** KILL_SEED repeats the instants of a run. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const KILLS = lengthOf(3, 60);
const PAUSE_MS_MAX = 80;
/** So that a snapshot takes a while to send. */
const LARGE_NODES = 24;
const LARGE_CHARS = 700_000;
const LONG_MS = 60_000;

const random = seededRandom(SEED);
let set: CoordinatorSet;
let client: ParkClient;
let coordinator: CoordinatorProcess;
let checkpointer: CoordinatorProcess;
/** Last number acknowledged, and tried. */
const written = { acknowledged: 0, tried: 0 };
let writing: Promise<void> | undefined;
let stopWriting = false;

before(async () => {
  set = await CoordinatorSet.make({ checkpointer: true });
  client = set.client('writer', { sessionTtlMs: LONG_MS, callTimeoutMs: LONG_MS });
  coordinator = set.start('c1');
  await set.untilServing('c1', coordinator);
  for (let index = 0; index < LARGE_NODES; index++) await client.put('large', `n${index}`, 'x'.repeat(LARGE_CHARS));
  checkpointer = set.start('k1');
  await untilFollowing();
});

afterEach(async () => {
  stopWriting = true;
  await writing;
});

after(async () => await set.close());

async function untilFollowing(): Promise<void> {
  await eventually(
    'the checkpointer to follow',
    async () => {
      const status = await set.status('k1');
      return status?.state?.kind === 'following' && (await set.status('c1')) !== undefined;
    },
    LONG_MS,
    20,
  );
}

/** Numbers, one after the other, as long as the test runs. */
function keepWriting(): void {
  stopWriting = false;
  writing = (async () => {
    while (!stopWriting) {
      const number = written.tried + 1;
      written.tried = number;
      try {
        await client.put('numbers', `n${number % 10}`, number);
        written.acknowledged = number;
      } catch (thrown) {
        assert.equal(toPlatformError(thrown).code, 'OUTCOME_UNKNOWN');
      }
      await pause(1);
    }
  })();
}

/** The journal's files: never a segment gone that no snapshot on the disk covers. */
function files(): { segments: number[]; snapshots: number[]; underWay: string[] } {
  const folder = set.parkFolder('c1');
  const numbersOf = (ending: string): number[] =>
    fs
      .readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => Number.parseInt(name, 10))
      .toSorted((a, b) => a - b);
  const segments = numbersOf('.journal'); // before the snapshots: what covers them is there by then
  const snapshots = numbersOf('.snapshot');
  const first = segments[0] ?? 1;
  assert.ok(
    first === 1 || (snapshots.at(-1) ?? 0) >= first,
    `seed ${SEED}: records before ${first} are gone, and the newest snapshot begins at ${snapshots.at(-1)}`,
  );
  return { segments, snapshots, underWay: fs.readdirSync(folder).filter((name) => name.startsWith('adopted.')) };
}

/** Has the checkpointer make and send a snapshot. @returns whether it was taken */
async function snapshot(): Promise<boolean> {
  const { admin } = set.config.coordinator.checkpointer as ServerConfig;
  return await set.admin.actAt(admin, 'snapshot', {}).then(
    () => true,
    () => false,
  );
}

/** Orders a snapshot, and returns a moment after the coordinator began to receive it; at the latest once it is taken. */
async function underUpload(): Promise<{ wasUnderWay: boolean; order: Promise<boolean> }> {
  let isTaken = false;
  const order = snapshot().finally(() => {
    isTaken = true;
  });
  await eventually('the upload', () => files().underWay.length > 0 || isTaken, LONG_MS, 1);
  await pause(random.float() * PAUSE_MS_MAX);
  return { wasUnderWay: files().underWay.length > 0, order };
}

async function check(): Promise<void> {
  const { acknowledged } = written;
  const numbers = (await client.getDomain('numbers')).map(({ value }) => Number(value));
  const highest = Math.max(...numbers);
  assert.ok(
    highest >= acknowledged && highest <= written.tried,
    `seed ${SEED}: ${highest} is there, ${acknowledged} was acknowledged, ${written.tried} tried`,
  );
  assert.equal((await client.getDomain('large')).length, LARGE_NODES);
}

test(`a checkpointer killed ${KILLS} times while it sends a snapshot: the coordinator goes on, and takes the next`, async (context) => {
  keepWriting();
  let mid = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { wasUnderWay, order } = await underUpload();
    await checkpointer.kill();
    mid += wasUnderWay ? 1 : 0;
    await order;
    const { acknowledged } = written;
    await eventually('writes to go on', () => written.acknowledged > acknowledged + 5, LONG_MS);
    checkpointer = set.start('k1');
    await untilFollowing();
    await eventually('what was received in part to go', () => files().underWay.length === 0, LONG_MS, 20);
    const newest = files().snapshots.at(-1) ?? 0;
    assert.ok(await snapshot(), `seed ${SEED}: the next snapshot was not taken`);
    assert.ok((files().snapshots.at(-1) ?? 0) > newest, `seed ${SEED}: no newer snapshot than ${newest}`);
    await check();
  }
  assert.ok(coordinator.isRunning);
  context.diagnostic(
    `KILL_SEED=${SEED}: ${mid} of ${KILLS} kills in the middle of an upload; ${written.acknowledged} writes`,
  );
});

test(`a coordinator killed ${KILLS} times while it takes a snapshot over: all it acknowledged is there`, async (context) => {
  keepWriting();
  let mid = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { wasUnderWay, order } = await underUpload();
    if (wasUnderWay && random.float() < 0.5)
      await order; // it is dropping what the snapshot shows, or has just done so
    else mid += wasUnderWay ? 1 : 0;
    await coordinator.kill();
    await order;
    files();
    coordinator = set.start('c1');
    await set.untilServing('c1', coordinator);
    await check();
    await untilFollowing();
    assert.deepEqual(files().underWay, []);
    assert.ok(await snapshot(), `seed ${SEED}: the next snapshot was not taken`);
    files();
  }
  assert.ok(checkpointer.isRunning);
  assert.notEqual(files().segments[0], 1, 'older segments are dropped');
  context.diagnostic(
    `KILL_SEED=${SEED}: ${mid} of ${KILLS} kills in the middle of an upload; ${written.acknowledged} writes`,
  );
});

test('a coordinator that was paused while its checkpointer was promoted ends when it goes on', async () => {
  await client.put('numbers', 'last', 1);
  await eventually('the checkpointer to have it', async () => {
    const [behind, now] = [await set.status('k1'), await set.status('c1')];
    return behind?.journal?.lastSequence >= now?.park?.details?.durableSequence;
  });
  coordinator.child.kill('SIGSTOP');
  const { servers, checkpointer: standby } = set.config.coordinator;
  assert.match(await promote(servers, standby, set.admin, false), /^k1 is the coordinator/);
  await eventually('the promoted one', async () => (await set.status('k1'))?.published, LONG_MS, 50);
  coordinator.child.kill('SIGCONT');
  await eventually('the old one to end', () => !coordinator.isRunning, LONG_MS);
  assert.notEqual(coordinator.child.exitCode, 0);
  assert.match(fs.readFileSync(`${set.folder}/data/c1/fenced.json`, 'utf8'), /k1 was promoted/);
  const again = await set.start('c1').ended;
  assert.equal(again.exitCode, 2);
  assert.match(again.errors, /this one was replaced/);
  assert.equal((await client.get('numbers', 'last'))?.value, 1);
  await client.put('numbers', 'last', 2);
});
