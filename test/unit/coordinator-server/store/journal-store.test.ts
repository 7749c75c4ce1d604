/** The journal's store over a simulated disk: restarts, losses of power, full disks, and what readers and watchers see. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { JournalStore, REVISION_JUMP } from '../../../../coordinator-server/store/journal-store.ts';
import type { WatchSink, Writer } from '../../../../coordinator-server/store/park-store.ts';
import { systemClock } from '../../../../shared/clock.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { silentLogger } from '../../../../shared/log.ts';
import type { ParkEvent, ParkWrite, WriteOutcome } from '../../../../shared/park/park-model.ts';
import { seededRandom, systemRandom } from '../../../../shared/random.ts';
import { eventually } from '../../../support/eventually.ts';
import { fewerRuns } from '../../../support/property-runs.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

const NOBODY: Writer = { session: '', force: false, platform: false };
let open: JournalStore[] = [];

afterEach(async () => {
  for (const store of open) await store.close().catch(() => undefined);
  open = [];
});

async function openStore(disk: SimulatedDisk, snapshotAfterBytes?: number): Promise<JournalStore> {
  const store = await JournalStore.open({
    folder: '/park',
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    files: disk,
    asyncDomains: ['fast', 'quick.*'],
    snapshotAfterBytes,
    onFatal: () => {},
  });
  open.push(store);
  return store;
}

function put(store: JournalStore, domain: string, node: string, value: string): Promise<WriteOutcome> {
  return store.write(NOBODY, { writes: [{ op: 'put', domain, node, value }] });
}

async function valueAt(store: JournalStore, domain: string, node: string): Promise<string | undefined> {
  return (await store.get(domain, node)).node?.value;
}

/** Hears a watch. */
class Ear implements WatchSink {
  readonly events: ParkEvent[] = [];
  upTo = 0;
  ended = '';

  onEvents(events: readonly ParkEvent[], upTo: number): void {
    this.events.push(...events);
    this.upTo = upTo;
  }

  onEnd({ message }: Error): void {
    this.ended = message;
  }
}

test('what was answered is there after a restart, sessions and generated names go on', async () => {
  const disk = new SimulatedDisk();
  const first = await openStore(disk);
  const session = await first.openSession('anna', 60_000);
  const writes: ParkWrite[] = [
    { op: 'create', domain: 'd', value: '1', ephemeral: true },
    { op: 'create', domain: 'd', node: 'x', value: '2', access: 'read' },
  ];
  const { results, revision } = await first.write({ ...NOBODY, session: session.id }, { writes });
  const second = await openStore(disk.killed());
  assert.equal(await valueAt(second, 'd', results[0]?.node ?? ''), '1');
  assert.equal((await second.get('d', 'x')).node?.owner, 'anna');
  assert.equal(await second.renewSession(session.id), 60_000);
  const next = await second.write(NOBODY, { writes: [{ op: 'create', domain: 'd', value: '3' }] });
  assert.ok((next.results[0]?.node ?? '') > (results[0]?.node ?? ''));
  assert.ok(next.revision >= revision + REVISION_JUMP);
});

test('over a loss of power: all that was answered or told is there, and no revision comes twice', async () => {
  const aRun = fc.record({ seed: fc.integer(), crashAfter: fc.integer({ min: 1, max: 60 }), snapshot: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(aRun, async ({ seed, crashAfter, snapshot }) => {
      const random = seededRandom(seed);
      const disk = new SimulatedDisk();
      const store = await openStore(disk, snapshot ? 500 : undefined);
      disk.crashAtStep = disk.steps + crashAfter;
      const ear = new Ear();
      store.watch({ domain: 'd', node: '', afterRevision: 0 }, ear);
      const answered = new Map<string, { least: number; most: number }>();
      let highest = 0;
      const noted = (key: string, value: number, outcome: WriteOutcome): void => {
        highest = Math.max(highest, outcome.revision);
        const known = answered.get(key);
        if (known !== undefined && key.startsWith('d/')) known.least = Math.max(known.least, value);
      };
      for (let value = 1; value <= 40; value++) {
        const domain = random.float() < 0.5 ? 'd' : 'fast';
        const key = `${domain}/n${Math.floor(random.float() * 3)}`;
        answered.set(key, { least: answered.get(key)?.least ?? 0, most: value });
        const writing = put(store, domain, key.slice(domain.length + 1), String(value));
        writing.then(
          (outcome) => noted(key, value, outcome),
          () => undefined,
        );
        if (random.float() < 0.4) await Promise.race([writing.catch(() => undefined), systemClock.sleep(2)]);
      }
      await systemClock.sleep(3);
      disk.crashAtStep = 0;
      const after = await openStore(disk.crashed(random));
      for (const [key, { least, most }] of answered) {
        const [domain = '', node = ''] = key.split('/');
        const value = Number((await valueAt(after, domain, node)) ?? 0);
        assert.ok(value >= least && value <= most, `${key}: ${value}, answered ${least}, tried ${most}`);
      }
      for (const event of ear.events) {
        if (event.kind !== 'put') continue;
        const value = Number((await valueAt(after, 'd', event.node.node)) ?? 0);
        assert.ok(value >= Number(event.node.value), `told ${event.node.value}, there is ${value}`);
      }
      const { revision } = await put(after, 'd', 'next', '1');
      assert.ok(revision > highest, `${revision} after ${highest}`);
    }),
    fewerRuns(40),
  );
});

test('a full disk: what was not on it is taken back and refused, reads go on, and writes again when there is room', async () => {
  const disk = new SimulatedDisk();
  const store = await openStore(disk);
  await put(store, 'd', 'x', '1');
  const ear = new Ear();
  store.watch({ domain: 'd', node: '', afterRevision: 0 }, ear);
  await eventually('the content', () => ear.events.length === 1);
  disk.capacityBytes = [...disk.files.values()].reduce((sum, bytes) => sum + bytes.length, 0) + 200;
  const large = `"${'x'.repeat(10_000)}"`;
  const refused = [
    put(store, 'd', 'x', large),
    put(store, 'd', 'y', '2'),
    put(store, 'new', 'y', '2'),
    store.write(NOBODY, { writes: [{ op: 'delete', domain: 'd', node: 'x' }] }),
  ];
  const read = store.get('d', 'x');
  const domains = store.domains('', '');
  for (const writing of refused)
    await assert.rejects(writing, { code: 'STORE_UNAVAILABLE', detail: /Nothing was changed/ });
  assert.equal((await read).node?.value, '1');
  assert.deepEqual(
    (await domains).map(({ domain }) => domain),
    ['d'],
  );
  assert.notEqual(store.status().writeFailure, '');
  await assert.rejects(put(store, 'd', 'z', '3'), { code: 'STORE_UNAVAILABLE' });
  assert.equal(await valueAt(store, 'd', 'x'), '1');
  assert.equal(await valueAt(store, 'd', 'y'), undefined);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await eventually('writes again', async () => (await put(store, 'd', 'y', '4').catch(() => undefined)) !== undefined);
  assert.deepEqual(
    ear.events.slice(1).map((event) => event.kind === 'put' && event.node.value),
    ['4'],
  );
  assert.equal(await valueAt(await openStore(disk.killed()), 'd', 'y'), '4');
});

test('a group write is seen by readers when it is durable, an async one at once', async () => {
  const disk = new SimulatedDisk();
  const store = await openStore(disk);
  await put(store, 'quick.things', 'x', '1');
  assert.equal(await valueAt(store, 'quick.things', 'x'), '1');
  const writing = put(store, 'd', 'x', '1');
  let seenAt = -1;
  const reading = store.get('d', 'x').then(({ node }) => {
    seenAt = store.journal.durableSequence;
    return node?.value;
  });
  const sequence = store.journal.lastSequence;
  assert.equal(await reading, '1');
  assert.ok(seenAt >= sequence);
  await writing;
});

test('a refusal is told when what it was refused for is durable', async () => {
  const disk = new SimulatedDisk();
  const store = await openStore(disk);
  const create = { op: 'create', domain: 'd', node: 'x', value: '1' } as const;
  const creating = store.write(NOBODY, { writes: [create] });
  const sequence = store.journal.lastSequence;
  let toldAt = -1;
  const refused = store.write(NOBODY, { writes: [create] }).catch((thrown: PlatformError) => {
    toldAt = store.journal.durableSequence;
    return thrown.code;
  });
  assert.equal(await refused, 'PARK_NODE_EXISTS');
  assert.ok(toldAt >= sequence, `told at ${toldAt}, before ${sequence} was durable`);
  await creating;
});

test('what was refused for a change that is taken back is decided again', async () => {
  const disk = new SimulatedDisk();
  const store = await openStore(disk);
  await put(store, 'd', 'y', '1');
  disk.capacityBytes = [...disk.files.values()].reduce((sum, bytes) => sum + bytes.length, 0) + 200;
  const large = `"${'x'.repeat(10_000)}"`;
  const creating = store.write(NOBODY, { writes: [{ op: 'create', domain: 'd', node: 'x', value: large }] });
  const updating = store.write(NOBODY, { writes: [{ op: 'create', domain: 'd', node: 'x', value: '2' }] });
  await assert.rejects(creating, { code: 'STORE_UNAVAILABLE' });
  // The node was never there: that it is cannot be the answer.
  await assert.rejects(updating, { code: 'STORE_UNAVAILABLE' });
});

test('a watch goes on after any revision that is kept, and hears each change once', async () => {
  const store = await openStore(new SimulatedDisk());
  const revisions: number[] = [];
  for (const value of ['1', '2', '2', '3']) revisions.push((await put(store, 'd', 'x', value)).revision);
  const ear = new Ear();
  store.watch({ domain: 'd', node: 'x', afterRevision: revisions[0] ?? 0 }, ear);
  assert.deepEqual(
    ear.events.map(({ revision }) => revision),
    [revisions[1], revisions[3]],
  );
  await put(store, 'd', 'x', '4');
  await put(store, 'd', 'y', '5');
  assert.deepEqual(
    ear.events.map((event) => event.kind === 'put' && event.node.value),
    ['2', '3', '4'],
  );
  assert.throws(() => store.watch({ domain: 'd', node: '', afterRevision: 2 ** 50 }, ear), {
    code: 'STORE_UNAVAILABLE',
    detail: /behind/,
  });
});

test('a watch goes on over a restart, with what the journal still has', async () => {
  const disk = new SimulatedDisk();
  const first = await openStore(disk);
  const { revision } = await put(first, 'd', 'x', '1');
  await put(first, 'd', 'x', '2');
  const second = await openStore(disk.killed());
  const ear = new Ear();
  second.watch({ domain: 'd', node: '', afterRevision: revision }, ear);
  assert.deepEqual(
    ear.events.map((event) => event.kind === 'put' && event.node.value),
    ['2'],
  );
});

test('after a snapshot and a restart older changes are told as content', async () => {
  const disk = new SimulatedDisk();
  const first = await openStore(disk);
  const { revision } = await put(first, 'd', 'x', '1');
  await put(first, 'd', 'x', '2');
  await first.snapshot();
  await put(first, 'd', 'y', '3');
  const second = await openStore(disk.killed());
  const ear = new Ear();
  second.watch({ domain: 'd', node: '', afterRevision: revision }, ear);
  await eventually('the content', () => ear.events.length === 1);
  const [content] = ear.events;
  assert.ok(content?.kind === 'content');
  assert.deepEqual(
    content.nodes.map(({ node, value }) => `${node} ${value}`),
    ['x 2', 'y 3'],
  );
});

test('after a snapshot and a restart a domain that lost a node is not taken for unchanged', async () => {
  const disk = new SimulatedDisk();
  const first = await openStore(disk);
  await put(first, 'd', 'x', '1');
  const { revision: seen } = await put(first, 'd', 'y', '2');
  const { revision } = await first.write(NOBODY, { writes: [{ op: 'delete', domain: 'd', node: 'x' }] });
  await first.snapshot();
  const second = await openStore(disk.killed());
  assert.ok((await second.domainRevision('d')) >= revision && revision > seen);
});

test('a session that is not renewed ends, with its ephemeral nodes, and is told', async () => {
  const store = await openStore(new SimulatedDisk());
  const { id } = await store.openSession('anna', 200);
  await store.write(
    { ...NOBODY, session: id },
    { writes: [{ op: 'create', domain: 'd', node: 'x', value: '1', ephemeral: true }] },
  );
  const ear = new Ear();
  store.watch({ domain: 'd', node: '', afterRevision: 0 }, ear);
  await eventually('the end', () => ear.events.at(-1)?.kind === 'removed');
  await assert.rejects(store.renewSession(id), { code: 'PARK_SESSION_UNKNOWN' });
  assert.equal(store.status().sessions, 0);
});

test('what a session or listing may not be asked for is refused with what may', async () => {
  const store = await openStore(new SimulatedDisk());
  await assert.rejects(store.openSession('', 1_000), { code: 'PARK_REQUEST_INVALID', detail: /session name/ });
  await assert.rejects(store.openSession('anna', 1), { code: 'PARK_REQUEST_INVALID', detail: /200 to 600000, got 1/ });
  await assert.rejects(
    store.list('d', '', 0),
    (thrown: unknown) => thrown instanceof PlatformError && thrown.code === 'PARK_REQUEST_INVALID',
  );
});
