/**
 * Wall clocks of a coordinator and of its client that jump an hour forward and back, together and against each other:
 * sessions, ephemeral nodes and nodes with a TTL live as long as they should, and no longer.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { ParkClient } from '../../shared/park/park-client.ts';
import { type CoordinatorProcess, CoordinatorSet } from '../support/coordinator-set.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';
import { tempFolder } from '../support/test-cluster.ts';
import { WRONG_CLOCKS_FOLDER } from '../support/wrong-wall-clock.ts';

const HOUR_MS = 3_600_000;
const PRELOAD = pathToFileURL(path.resolve(import.meta.dirname, '../support/wrong-wall-clock.ts')).href;
const JUMPS = lengthOf(30, 400);
/** Shorter than all jumps of a run take together: it is renewed, or it ends. */
const SESSION_TTL_MS = 4_000;
const NODE_TTL_MS = 2_000;
const LONG_MS = 60_000;

const clocks = tempFolder();
const RightDate = globalThis.Date;
let set: CoordinatorSet;
let coordinator: CoordinatorProcess;

before(async () => {
  process.env[WRONG_CLOCKS_FOLDER] = clocks;
  set = await CoordinatorSet.make({ preload: PRELOAD });
  coordinator = set.start('c1');
  await set.untilServing('c1', coordinator);
});

after(async () => {
  globalThis.Date = RightDate;
  await set.close();
  fs.rmSync(clocks, { recursive: true, force: true });
});

/** The coordinator's; renamed, so that it never reads half a number. */
function setCoordinatorClock(offsetMs: number): void {
  const file = path.join(clocks, 'c1');
  fs.writeFileSync(`${file}.new`, String(offsetMs));
  fs.renameSync(`${file}.new`, file);
}

/** The client's: this process's. */
function setClientClock(offsetMs: number): void {
  class WrongDate extends RightDate {
    static override now(): number {
      return RightDate.now() + offsetMs;
    }
  }
  globalThis.Date = offsetMs === 0 ? RightDate : (WrongDate as DateConstructor);
}

/** Sets both, and writes and reads until the coordinator has surely looked at its clock. */
async function jump(number: number, client: ParkClient): Promise<void> {
  const offsets = [HOUR_MS, -HOUR_MS, 0];
  setCoordinatorClock(offsets[number % 3] as number);
  setClientClock(offsets[(number + Math.floor(number / 3)) % 3] as number);
  const untilMs = performance.now() + 150;
  while (performance.now() < untilMs) await client.put('clock', 'jumps', number);
}

test('a session lives on while it is renewed, with its nodes, however often both clocks jump', async (context) => {
  const client = set.client('kept', { sessionTtlMs: SESSION_TTL_MS, callTimeoutMs: LONG_MS });
  const session = await client.session();
  let lost = 0;
  session.onLost(() => {
    lost += 1;
  });
  const born = await client.create('workers', 'kept', 1, { ephemeral: true });
  const beganAtMs = performance.now();
  for (let number = 1; number <= JUMPS; number++) {
    await jump(number, client);
    assert.ok(session.aliveUntilMs > performance.now(), `after ${number} jumps the client takes its session for ended`);
    assert.equal((await client.get('workers', 'kept'))?.createRevision, born.revision);
  }
  const tookMs = performance.now() - beganAtMs;
  assert.ok(tookMs > SESSION_TTL_MS, 'longer than the session lasts unrenewed');
  assert.equal(lost, 0);
  client.close();
  await eventually('its node to go', async () => {
    const { nodes } = (await set.status('c1')).park;
    return nodes > 0 && !(await names('workers')).includes('kept');
  });
  context.diagnostic(`${JUMPS} jumps in ${Math.round(tookMs)} ms`);
});

async function names(domain: string): Promise<string[]> {
  const client = set.client('looks', { callTimeoutMs: LONG_MS });
  try {
    return (await client.getDomain(domain)).map(({ node }) => node);
  } finally {
    client.close();
  }
}

test('a node with a TTL goes no sooner than its time, and goes, whatever the clocks say', async () => {
  const client = set.client('limited', { sessionTtlMs: LONG_MS, callTimeoutMs: LONG_MS });
  for (const jumpsBy of [HOUR_MS, -HOUR_MS]) {
    const removed: number[] = [];
    const watch = client.watch('limited', (change) => {
      if (change.kind === 'removed') removed.push(performance.now());
    });
    setCoordinatorClock(0);
    setClientClock(0);
    const writtenAtMs = performance.now();
    await client.create('limited', 'x', 1, { ttlMs: NODE_TTL_MS });
    setCoordinatorClock(jumpsBy);
    setClientClock(-jumpsBy);
    await eventually('its end', () => removed.length > 0, LONG_MS);
    assert.ok((removed[0] ?? 0) - writtenAtMs >= NODE_TTL_MS, `gone after ${(removed[0] ?? 0) - writtenAtMs} ms`);
    watch.close();
  }
  client.close();
});

test('a coordinator that comes back with another clock lets a session live that is renewed', async () => {
  const client = set.client('over', { sessionTtlMs: LONG_MS, callTimeoutMs: LONG_MS });
  const { revision } = await client.create('workers', 'over', 1, { ephemeral: true });
  for (const offsetMs of [HOUR_MS, -HOUR_MS]) {
    setCoordinatorClock(offsetMs);
    await coordinator.kill();
    coordinator = set.start('c1');
    await set.untilServing('c1', coordinator);
    assert.equal((await client.get('workers', 'over'))?.createRevision, revision);
    assert.ok((await client.put('clock', 'jumps', offsetMs)).revision > revision);
  }
  client.close();
});
