/**
 * A coordinator's process is killed with SIGKILL at random instants, under writes over links, snapshots, and while it
 * starts: what was acknowledged with `group` is there, `async` loses an end no older than its window, no revision comes
 * twice, watches go on without a gap or a repetition, and sessions live on.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { toPlatformError } from '../../shared/errors.ts';
import type { ParkChange } from '../../shared/park/park.ts';
import type { ParkClient } from '../../shared/park/park-client.ts';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import { type CoordinatorProcess, CoordinatorSet } from '../support/coordinator-set.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';

/** KILL_SEED repeats the instants of a run. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const KILLS = lengthOf(8, 200);
const LIFE_MS_MAX = lengthOf(250, 1_000);
const FLUSH_EVERY_MS = 10;
/** A machine at its limits may let a flush wait for so long. */
const GRACE_MS = 1_000;
const WRITERS = 4;
const NODES = 20;
/** `async` writes under way at once. */
const ASYNC_AT_ONCE = 100;
/** What a write may end with when its coordinator is killed. */
const LOST = new Set(['OUTCOME_UNKNOWN', 'NO_COORDINATOR', 'STORE_UNAVAILABLE', 'QUEUE_FULL']);

let set: CoordinatorSet;
let coordinator: CoordinatorProcess;

before(async () => {
  set = await CoordinatorSet.make({
    yaml: `  journal: { flushEveryMs: ${FLUSH_EVERY_MS}, asyncDomains: [quick.*] }\n`,
  });
});

after(async () => await set.close());

/** Highest revision of any acknowledged write, over all lives. */
let revisionMax = 0;

/** A revision that was handed out before the write began never comes again. */
function noteRevision(revision: number, before: number): void {
  assert.ok(revision > before, `seed ${SEED}: revision ${revision} after ${before}`);
  revisionMax = Math.max(revisionMax, revision);
}

/** @returns whether it was acknowledged; else nobody knows */
async function acknowledged(writing: Promise<{ readonly revision: number }>): Promise<boolean> {
  const before = revisionMax;
  try {
    noteRevision((await writing).revision, before);
    return true;
  } catch (thrown) {
    const { code, message } = toPlatformError(thrown);
    assert.ok(LOST.has(code), `seed ${SEED}: ${message}`);
    return false;
  }
}

/** Writes 1, 2, 3 … to a few nodes of a domain of its own, one after the other. */
class GroupWriter {
  readonly domain: string;
  readonly #client: ParkClient;
  #number = 0;
  /** By node. */
  readonly #acknowledged = new Map<string, number>();
  readonly #tried = new Map<string, number>();
  /** All of them. */
  readonly done: number[] = [];

  constructor(client: ParkClient, index: number) {
    this.#client = client;
    this.domain = `group.w${index}`;
  }

  async write(until: () => boolean): Promise<void> {
    while (!until()) {
      const number = ++this.#number;
      const node = `n${number % NODES}`;
      this.#tried.set(node, number);
      if (!(await acknowledged(this.#client.put(this.domain, node, number)))) return;
      this.#acknowledged.set(node, number);
      this.done.push(number);
    }
  }

  /** What was acknowledged is there, or what was tried after it. */
  async check(): Promise<void> {
    const found = new Map((await this.#client.getDomain(this.domain)).map(({ node, value }) => [node, Number(value)]));
    for (const [node, tried] of this.#tried) {
      const value = found.get(node) ?? 0;
      const least = this.#acknowledged.get(node) ?? 0;
      assert.ok(
        value >= least && value <= tried,
        `seed ${SEED}: ${this.domain}/${node} is ${value}, acknowledged ${least}, tried ${tried}`,
      );
    }
  }
}

/** Hears a writer's domain over all lives: its numbers come in order, none twice, none left out but those never done. */
class Watcher {
  readonly domain: string;
  readonly #told = new Set<number>();
  #last = 0;
  #revision = 0;
  contents = 0;

  constructor(client: ParkClient, domain: string) {
    this.domain = domain;
    client.watch(domain, (change) => this.#hear(change));
  }

  #hear(change: ParkChange): void {
    const { domain } = this;
    assert.ok(change.revision >= this.#revision, `seed ${SEED}: ${domain} told ${change.revision} late`);
    this.#revision = change.revision;
    if (change.kind === 'content') {
      this.contents += 1;
      const highest = Math.max(0, ...change.entries.map(({ value }) => Number(value)));
      assert.ok(highest >= this.#last, `seed ${SEED}: ${domain} had ${this.#last}, then all there is up to ${highest}`);
      for (let number = this.#last + 1; number <= highest; number++) this.#told.add(number); // seen in what they led to
      this.#last = highest;
      return;
    }
    assert.equal(change.kind, 'put');
    const number = Number(change.kind === 'put' && change.entry.value);
    assert.ok(number > this.#last, `seed ${SEED}: ${domain} told ${number} after ${this.#last}`);
    this.#told.add(number);
    this.#last = number;
  }

  get last(): number {
    return this.#last;
  }

  requireAll(numbers: Iterable<number>): void {
    for (const number of numbers)
      assert.ok(this.#told.has(number), `seed ${SEED}: ${number} of ${this.domain} was never told`);
  }
}

/** Creates nodes 1, 2, 3 … of one life, many under way at once: they are recorded in that order. */
class AsyncWriter {
  readonly domain: string;
  readonly #client: ParkClient;
  readonly #acknowledgedAtMs = new Map<number, number>();
  #number = 0;

  constructor(client: ParkClient, life: number) {
    this.#client = client;
    this.domain = `quick.l${life}`;
  }

  async write(until: () => boolean): Promise<void> {
    const one = async (): Promise<void> => {
      while (!until()) {
        const number = ++this.#number;
        if (!(await acknowledged(this.#client.create(this.domain, `n${number}`, number)))) return;
        this.#acknowledgedAtMs.set(number, performance.now());
      }
    };
    await Promise.all(Array.from({ length: ASYNC_AT_ONCE }, one));
  }

  /** @returns acknowledged and lost: how many, and how old the oldest was at the kill */
  async check(killedAtMs: number): Promise<{ lost: number; oldestMs: number }> {
    const found = new Set((await this.#client.getDomain(this.domain)).map(({ value }) => Number(value)));
    const last = Math.max(0, ...found);
    assert.equal(found.size, last, `seed ${SEED}: ${this.domain} has a gap before ${last}`);
    const lost = [...this.#acknowledgedAtMs].filter(([number]) => number > last);
    const oldestMs = Math.max(0, ...lost.map(([, atMs]) => killedAtMs - atMs));
    if (found.size > 0) await this.#client.deleteDomain(this.domain);
    return { lost: lost.length, oldestMs };
  }

  get acknowledgements(): number {
    return this.#acknowledgedAtMs.size;
  }
}

test(`after each of ${KILLS} kills of a coordinator nothing it acknowledged is lost`, async (context) => {
  const random = seededRandom(SEED);
  const client = set.client('writer', { sessionTtlMs: 60_000, callTimeoutMs: 60_000 });
  const listener = set.client('listener', { callTimeoutMs: 60_000 });
  const writers = Array.from({ length: WRITERS }, (_, index) => new GroupWriter(client, index));
  const watchers = writers.map(({ domain }) => new Watcher(listener, domain));
  let lostSession = 0;
  const total = { lost: 0, oldestMs: 0, acknowledged: 0, async: 0, whileStarting: 0, snapshots: 0 };
  coordinator = set.start('c1');
  await set.untilServing('c1', coordinator);
  (await client.session()).onLost(() => {
    lostSession += 1;
  });
  for (let kill = 1; kill <= KILLS; kill++) {
    const quick = new AsyncWriter(client, kill);
    let killed = false;
    const until = (): boolean => killed;
    const before = writers.map(({ done }) => done.length);
    const writing = [...writers, quick].map((writer) => writer.write(until));
    const isUnderWay = (): boolean =>
      quick.acknowledgements > 0 && writers.every(({ done }, index) => done.length > (before[index] ?? 0));
    await eventually('acknowledged writes', isUnderWay, 30_000);
    if (random.float() < 0.5) {
      total.snapshots += 1;
      set.admin.act('snapshot', {}).catch(() => undefined); // the kill may come in the middle of it
    }
    await pause(random.float() * LIFE_MS_MAX);
    const killedAtMs = performance.now();
    await coordinator.kill();
    killed = true;
    coordinator = set.start('c1');
    if (random.float() < 0.3) {
      total.whileStarting += 1;
      await pause(random.float() * 600);
      await coordinator.kill();
      coordinator = set.start('c1');
    }
    await set.untilServing('c1', coordinator);
    await Promise.all(writing);
    for (const writer of writers) await writer.check();
    const { lost, oldestMs } = await quick.check(killedAtMs);
    total.lost += lost;
    total.oldestMs = Math.max(total.oldestMs, oldestMs);
    total.async += quick.acknowledgements;
  }
  total.acknowledged = writers.reduce((sum, writer) => sum + writer.done.length, 0);
  for (const [index, writer] of writers.entries()) {
    const watcher = watchers[index] as Watcher;
    await eventually('the last change told', () => watcher.last >= (writer.done.at(-1) ?? 0), 30_000);
    watcher.requireAll(writer.done);
  }
  assert.ok(total.oldestMs <= FLUSH_EVERY_MS + GRACE_MS, `seed ${SEED}: lost what was ${total.oldestMs} ms old`);
  assert.equal(lostSession, 0, `seed ${SEED}: a session of a minute ended`);
  const contents = watchers.reduce((sum, watcher) => sum + watcher.contents, 0);
  context.diagnostic(
    `KILL_SEED=${SEED}: ${KILLS} kills, ${total.whileStarting} more while it started, ${total.snapshots} snapshots; ${total.acknowledged} group writes acknowledged, none lost; of ${total.async} async ones ${total.lost} lost, the oldest ${Math.round(total.oldestMs)} ms old; ${contents} beginnings of ${WRITERS} watches`,
  );
});
