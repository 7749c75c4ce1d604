/**
 * The park on its journal against a model of plain maps: any sequence of transactions, reads, sessions, waits, snapshots
 * and kills, by the creator, others and an operator; each answer, each refusal, all there is, and what a watch hears.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { carryOut } from '../../../../coordinator-server/park/park-requests.ts';
import { JournalStore } from '../../../../coordinator-server/store/journal-store.ts';
import type { Writer } from '../../../../coordinator-server/store/park-store.ts';
import { toPlatformError } from '../../../../shared/errors.ts';
import { silentLogger } from '../../../../shared/log.ts';
import type { ParkCheck, ParkEvent, ParkNode, ParkWrite, WriteOutcome } from '../../../../shared/park/park-model.ts';
import { seededRandom } from '../../../../shared/random.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { GRACE_MS, ParkModel } from '../../../support/park-model.ts';
import { FC_RUNS } from '../../../support/property-runs.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';
import { lengthOf } from '../../../support/soak.ts';

const DOMAINS = ['d', 'e'];
const NODES = ['x', 'y'];
const NAMES = ['anna', 'ben'];
const TTL_MS = 1_000;
/** Of the store's looks for what has run out. */
const LOOK_EVERY_MS = 50;
const RUNS = lengthOf(FC_RUNS, 50_000);

type Step =
  | {
      readonly kind: 'write';
      /** 0, 1: with that session; 2: with none; 3: with none and force. */
      readonly who: number;
      readonly writes: readonly ParkWrite[];
      readonly checks: readonly {
        readonly domain: string;
        readonly node: string;
        readonly is: number;
        readonly by: string;
      }[];
    }
  | { readonly kind: 'session' | 'renew' | 'end'; readonly who: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'look'; readonly domain: string; readonly node: string; readonly ago: number }
  | { readonly kind: 'snapshot' | 'kill' };

const name = { domain: fc.constantFrom(...DOMAINS), node: fc.constantFrom(...NODES) };
const value = fc.constantFrom('1', '2', '{"three":3}');
const version = fc.option(fc.nat(3), { nil: undefined });
const access = fc.constantFrom('read' as const, 'read-write' as const, 'all' as const);
const ttlMs = fc.constantFrom(undefined, 0, 300, 2_000);
/** A quarter by its session, a quarter for a time. */
const LIVES = [{ ephemeral: true }, { ttlMs: 500 }, {}, {}] as const;
const create = fc
  .record({ ...name, value, access, life: fc.nat(3), isNamed: fc.nat(3) })
  .map(({ domain, node, value, access, life, isNamed }): ParkWrite => {
    return { op: 'create', domain, node: isNamed === 0 ? undefined : node, value, access, ...LIVES[life] };
  });
const aWrite: fc.Arbitrary<ParkWrite> = fc.oneof(
  { weight: 4, arbitrary: create },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('put' as const), ...name, value, access, ttlMs, ifVersion: version }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('update' as const), ...name, value, ifVersion: version }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('delete' as const), ...name, ifVersion: version }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom('delete-domain' as const, 'set-deletable' as const),
      domain: name.domain,
    }),
  },
);
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      who: fc.nat(3),
      writes: fc.array(aWrite, { minLength: 1, maxLength: 3 }),
      checks: fc.array(fc.record({ ...name, is: fc.nat(5), by: fc.constantFrom('version', 'revision') }), {
        maxLength: 1,
      }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('session' as const, 'renew' as const, 'end' as const),
      who: fc.nat(1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(700) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('look' as const), ...name, ago: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('snapshot' as const, 'kill' as const) }) },
);

/** Lets the disk, which needs no timer, take what was written. */
async function settle(store: JournalStore): Promise<void> {
  do await new Promise((resolve) => void setImmediate(resolve));
  while (store.journal.durableSequence < store.journal.lastSequence);
}

/** One watch of a domain, begun again after each kill; what it holds is what it was told. */
class Ear {
  readonly domain: string;
  readonly nodes = new Map<string, string>();
  upTo = 0;
  events = 0;
  contents = 0;

  constructor(domain: string) {
    this.domain = domain;
  }

  begin(store: JournalStore): void {
    const request = { domain: this.domain, node: '', afterRevision: this.upTo };
    store.watch(request, {
      onEvents: (events, upTo) => {
        for (const event of events) this.#hear(event);
        assert.ok(upTo >= this.upTo);
        this.upTo = upTo;
      },
      onEnd: () => {},
    });
  }

  #hear(event: ParkEvent): void {
    if (event.kind === 'content') {
      this.contents += 1;
      this.nodes.clear();
      for (const { node, value } of event.nodes) this.nodes.set(node, value);
      return;
    }
    assert.ok(event.revision > this.upTo, 'told once');
    this.events += 1;
    if (event.kind === 'removed') assert.ok(this.nodes.delete(event.node), `${event.node} was there`);
    else {
      assert.notEqual(this.nodes.get(event.node.node), event.node.value, 'a change of content');
      this.nodes.set(event.node.node, event.node.value);
    }
  }
}

class World {
  readonly clock = new ManualClock();
  readonly model = new ParkModel();
  readonly sessions = ['', ''];
  readonly ears = DOMAINS.map((domain) => new Ear(domain));
  disk = new SimulatedDisk();
  store!: JournalStore;
  #openedAtMs = 0;
  #revision = 0;
  /** By domain: no later one may be smaller. */
  readonly #generated = new Map<string, string>();
  readonly #random = seededRandom(7);

  async open(): Promise<void> {
    this.#openedAtMs = this.clock.nowMs();
    const { clock, disk: files } = this;
    const opening = JournalStore.open({ folder: '/park', clock, random: this.#random, log: silentLogger, files });
    this.store = await opening;
    for (const ear of this.ears) ear.begin(this.store);
    await settle(this.store);
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'write':
        await this.#write(step);
        break;
      case 'session':
        await this.#openSession(step.who);
        break;
      case 'renew':
        await this.#renew(this.sessions[step.who] ?? '');
        break;
      case 'end':
        await this.#adopt(this.model.endSession(this.sessions[step.who] ?? ''), () =>
          this.store.endSession(this.sessions[step.who] ?? ''),
        );
        break;
      case 'wait':
        await this.#wait(step.ms);
        break;
      case 'look':
        await this.#look(step);
        break;
      case 'snapshot':
        await this.store.snapshot();
        break;
      case 'kill':
        await this.#kill();
    }
    await settle(this.store);
    await this.#compare();
  }

  async #write({ who, writes, checks }: Extract<Step, { kind: 'write' }>): Promise<void> {
    const writer: Writer = { session: this.sessions[who] ?? '', force: who === 3, platform: false };
    const asked = checks.map(({ domain, node, is, by }): ParkCheck => {
      const found = this.model.node(domain, node);
      if (by === 'version') return { domain, node, version: is < 4 ? is : (found?.version ?? 0) };
      return { domain, node, revision: is === 0 ? 3 : (found?.modRevision ?? 0) };
    });
    const expected = this.model.refusalOf(writer, writes, asked);
    const writing = this.store.write(writer, { writes, checks: asked });
    const outcome = await writing.catch((thrown: unknown) => toPlatformError(thrown));
    if (outcome instanceof Error) {
      assert.equal(outcome.code, expected, outcome.detail);
      return;
    }
    assert.equal(expected, '', 'it is refused');
    this.#noteRevision(outcome.revision);
    this.#requireNames(writes, outcome);
    const nameOf = (index: number): string => outcome.results[index]?.node ?? '';
    this.model.apply(writer, writes, outcome.revision, this.clock.nowMs(), nameOf);
  }

  #noteRevision(revision: number): void {
    assert.ok(revision > this.#revision, `revision ${revision} after ${this.#revision}`);
    this.#revision = revision;
  }

  #requireNames(writes: readonly ParkWrite[], { results }: WriteOutcome): void {
    for (const [index, write] of writes.entries()) {
      if (write.op !== 'create' || write.node !== undefined) continue;
      const node = results[index]?.node ?? '';
      assert.ok(node > (this.#generated.get(write.domain) ?? ''), `${node} after ${this.#generated.get(write.domain)}`);
      this.#generated.set(write.domain, node);
    }
  }

  async #openSession(who: number): Promise<void> {
    if (this.model.sessions.has(this.sessions[who] ?? '')) return;
    const name = NAMES[who] as string;
    const { id } = await this.store.openSession(name, TTL_MS);
    this.sessions[who] = id;
    this.model.sessions.set(id, { name, ttlMs: TTL_MS, untilMs: this.clock.nowMs() + TTL_MS + GRACE_MS });
  }

  async #renew(id: string): Promise<void> {
    const session = this.model.sessions.get(id);
    const code = await this.store.renewSession(id).then(String, (thrown: unknown) => toPlatformError(thrown).code);
    assert.equal(code, session === undefined ? 'PARK_SESSION_UNKNOWN' : String(TTL_MS));
    if (session !== undefined) session.untilMs = this.clock.nowMs() + TTL_MS + GRACE_MS;
  }

  /** From one of the store's looks to the next, so that what it finds is put in force in between. */
  async #wait(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    for (;;) {
      const sinceOpened = this.clock.nowMs() - this.#openedAtMs;
      const nextLookAtMs = this.#openedAtMs + (Math.floor(sinceOpened / LOOK_EVERY_MS) + 1) * LOOK_EVERY_MS;
      if (nextLookAtMs > untilMs) break;
      this.clock.advance(nextLookAtMs - this.clock.nowMs());
      await this.#adopt(this.model.expire(nextLookAtMs), () => settle(this.store));
    }
    this.clock.advance(untilMs - this.clock.nowMs());
  }

  /** Things go under revisions that only the store knows. */
  async #adopt(domains: ReadonlySet<string>, work: () => Promise<unknown>): Promise<void> {
    await work();
    await settle(this.store);
    for (const domain of domains) {
      const found = this.model.domains.get(domain);
      if (found === undefined) continue;
      const revision = await this.store.domainRevision(domain);
      assert.ok(revision > found.revision, `domain ${domain} at ${revision} after ${found.revision}`);
      found.revision = revision;
    }
  }

  /** get, getLatest, getDomain and getLatestDomain, as a client asks for them. */
  async #look({ domain, node, ago }: Extract<Step, { kind: 'look' }>): Promise<void> {
    const ask = async (request: Parameters<typeof carryOut>[2]): Promise<{ node?: ParkNode; unchanged?: boolean }> =>
      (await carryOut(this.store, { session: '' }, request)) as { node?: ParkNode; unchanged?: boolean };
    const found = this.model.node(domain, node);
    const seen = Math.max(0, (found?.modRevision ?? 1) - ago + 1);
    const latest = await ask({ op: 'get', domain, node, seen });
    assert.equal(latest.node?.value, found !== undefined && found.modRevision > seen ? found.value : undefined);
    const inDomain = this.model.domains.get(domain);
    const seenOf = Math.max(1, (inDomain?.revision ?? 1) - ago + 1);
    const listed = await ask({ op: 'list', domain, after: '', seen: seenOf });
    // What is unchanged may be told again, after a restart; what has changed must be.
    if (inDomain === undefined || inDomain.revision > seenOf) assert.equal(listed.unchanged, undefined);
  }

  async #kill(): Promise<void> {
    this.disk = this.disk.killed();
    const before = this.store;
    await this.open();
    await before.close().catch(() => undefined);
    this.model.restart(this.clock.nowMs());
  }

  async #compare(): Promise<void> {
    for (const domain of DOMAINS) {
      const { nodes } = await this.store.list(domain, '', 1_000);
      const found = nodes.map(({ domain: _domain, ...rest }) => rest);
      const expected = [...(this.model.domains.get(domain)?.nodes ?? [])]
        .map(([node, { dueAtMs: _due, ttlMs: _ttl, creator, ...rest }]) => ({
          node,
          ...rest,
          owner: this.model.nameOf(creator),
        }))
        .toSorted((a, b) => (a.node < b.node ? -1 : 1));
      assert.deepEqual(found, expected);
    }
    const summaries = [...this.model.domains].map(([domain, { creator, deletable, nodes }]) => {
      return { domain, nodes: nodes.size, owner: this.model.nameOf(creator), deletable };
    });
    assert.deepEqual(
      await this.store.domains('', ''),
      summaries.toSorted((a, b) => (a.domain < b.domain ? -1 : 1)),
    );
    assert.equal(this.store.status().sessions, this.model.sessions.size);
    for (const ear of this.ears) {
      const nodes = [...(this.model.domains.get(ear.domain)?.nodes ?? [])].map(
        ([node, { value }]) => [node, value] as const,
      );
      assert.deepEqual(ear.nodes, new Map(nodes.toSorted()), `told of ${ear.domain}`);
      if (ear.contents === 1) assert.equal(ear.events, this.model.changes.get(ear.domain) ?? 0, 'each change, once');
    }
  }
}

test(`the park answers as a model of plain maps does, ${RUNS} times`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aStep, { maxLength: 30, size: 'max' }), async (steps) => {
      const world = new World();
      await world.open();
      try {
        for (const step of steps) await world.take(step);
      } finally {
        await world.store.close();
      }
    }),
    { numRuns: RUNS },
  );
});
