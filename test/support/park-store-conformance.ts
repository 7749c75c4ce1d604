/** What every store of the park does alike: run by the journal's and by etcd's tests. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ParkStore, WatchSink, Writer } from '../../coordinator-server/store/park-store.ts';
import type { ParkEvent, ParkWrite, WriteOutcome } from '../../shared/park/park-model.ts';
import { eventually } from './eventually.ts';

const NOBODY: Writer = { session: '', force: false, platform: false };
/** Shortest that every store grants. */
const TTL_MS = 2_000;

export interface ConformingStore {
  /** Two views of one park: two coordinators of etcd, or twice the same store. */
  readonly stores: readonly [ParkStore, ParkStore];
  close(): Promise<void>;
}

class Ear implements WatchSink {
  readonly events: ParkEvent[] = [];
  upTo = 0;

  onEvents(events: readonly ParkEvent[], upTo: number): void {
    assert.ok(upTo >= this.upTo, `told up to ${upTo} after ${this.upTo}`);
    this.events.push(...events);
    this.upTo = upTo;
  }

  onEnd(reason: Error): void {
    throw reason;
  }

  /** `x=1` and `-x`. */
  get told(): string[] {
    return this.events.flatMap((event) => {
      if (event.kind === 'put') return [`${event.node.node}=${event.node.value}`];
      if (event.kind === 'removed') return [`-${event.node}`];
      return [`[${event.nodes.map(({ node, value }) => `${node}=${value}`).join()}]`];
    });
  }
}

export function storeConformance(
  what: string,
  open: () => Promise<ConformingStore>,
  skip: string | false = false,
): void {
  describe(`${what}: as every store of the park`, { skip, concurrency: true }, () => {
    let opened: ConformingStore;
    let store: ParkStore;
    let other: ParkStore;
    let domains = 0;

    before(async () => {
      opened = await open();
      [store, other] = opened.stores;
    });
    after(async () => await opened.close());

    const newDomain = (): string => `test.d${++domains}`;
    const put = (domain: string, node: string, value: string, writer = NOBODY): Promise<WriteOutcome> =>
      store.write(writer, { writes: [{ op: 'put', domain, node, value }] });
    const valueIn = async (from: ParkStore, domain: string, node: string): Promise<string | undefined> =>
      (await from.get(domain, node)).node?.value;

    test('what was written is read, by whoever asks next', async () => {
      const domain = newDomain();
      const first = await put(domain, 'x', '1');
      const second = await put(domain, 'x', '2');
      const { node, revision } = await other.get(domain, 'x');
      assert.deepEqual(
        [node?.value, node?.version, node?.createRevision, node?.modRevision],
        ['2', 2, first.revision, second.revision],
      );
      assert.ok(revision >= second.revision);
      assert.deepEqual(second.results, [{ domain, node: 'x', version: 2 }]);
    });

    test('a transaction is one revision, all or nothing, and looks at its checks', async () => {
      const domain = newDomain();
      const writes: ParkWrite[] = ['a', 'b'].map((node) => ({ op: 'create', domain, node, value: '1' }));
      const { revision } = await store.write(NOBODY, { writes, checks: [{ domain, node: 'c', version: 0 }] });
      const { nodes } = await other.list(domain, '', 10);
      assert.deepEqual(
        nodes.map(({ node, modRevision }) => [node, modRevision]),
        [
          ['a', revision],
          ['b', revision],
        ],
      );
      const late: ParkWrite[] = [{ op: 'put', domain, node: 'c', value: '2' }, ...writes];
      await assert.rejects(store.write(NOBODY, { writes: late }), { code: 'PARK_NODE_EXISTS' });
      const checks = [{ domain, node: 'a', version: 9 }];
      await assert.rejects(store.write(NOBODY, { writes: [{ op: 'put', domain, node: 'c', value: '2' }], checks }), {
        code: 'PARK_VERSION_CONFLICT',
      });
      assert.equal(await valueIn(other, domain, 'c'), undefined);
    });

    test('fifty that add one, from two sides, lose nothing', async () => {
      const domain = newDomain();
      await put(domain, 'count', '0');
      const add = async (through: ParkStore): Promise<void> => {
        for (;;) {
          const { node } = await through.get(domain, 'count');
          const write = {
            op: 'update',
            domain,
            node: 'count',
            value: String(Number(node?.value) + 1),
            ifVersion: node?.version,
          } as const;
          const done = await through
            .write(NOBODY, { writes: [write] })
            .catch((thrown: { code: string }) => thrown.code);
          if (done !== 'PARK_VERSION_CONFLICT') return assert.ok(typeof done === 'object', String(done));
        }
      };
      await Promise.all(Array.from({ length: 50 }, (_, index) => add(index % 2 === 0 ? store : other)));
      assert.equal(await valueIn(store, domain, 'count'), '50');
    });

    test('the same new node from two sides is created once', async () => {
      const domain = newDomain();
      const create = (through: ParkStore): Promise<unknown> =>
        through.write(NOBODY, { writes: [{ op: 'create', domain, node: 'x', value: '1' }] });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => create(index % 2 === 0 ? store : other)),
      );
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    });

    test('generated names are all different, and sort by creation', async () => {
      const domain = newDomain();
      const create = async (through: ParkStore): Promise<[string, number]> => {
        const { results, revision } = await through.write(NOBODY, { writes: [{ op: 'create', domain, value: '1' }] });
        return [results[0]?.node ?? '', revision];
      };
      const created = await Promise.all(
        Array.from({ length: 12 }, (_, index) => create(index % 2 === 0 ? store : other)),
      );
      const byName = created.toSorted(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(
        byName,
        created.toSorted(([, a], [, b]) => a - b),
      );
      assert.equal(new Set(created.map(([node]) => node)).size, 12);
      await store.write({ ...NOBODY, force: true }, { writes: [{ op: 'delete-domain', domain }] });
      assert.ok((await create(other))[0] > (byName.at(-1)?.[0] ?? ''));
    });

    test('rights are the creator’s while its session lives, then what it left to others', async () => {
      const domain = newDomain();
      const anna = { ...NOBODY, session: (await store.openSession('anna', 60_000)).id };
      const ben = { ...NOBODY, session: (await other.openSession('ben', 60_000)).id };
      await store.write(anna, { writes: [{ op: 'create', domain, node: 'x', value: '1', access: 'read' }] });
      const asBen = (write: ParkWrite): Promise<WriteOutcome> => other.write(ben, { writes: [write] });
      await assert.rejects(asBen({ op: 'put', domain, node: 'x', value: '2' }), {
        code: 'PARK_RIGHTS_MISSING',
        detail: /anna/,
      });
      await assert.rejects(asBen({ op: 'delete-domain', domain }), { code: 'PARK_RIGHTS_MISSING', detail: /anna/ });
      await put(domain, 'x', '2', anna);
      assert.equal((await other.get(domain, 'x')).node?.owner, 'anna');
      await store.write(anna, { writes: [{ op: 'set-deletable', domain }] });
      await store.endSession(anna.session);
      await eventually('anna gone', async () => (await other.get(domain, 'x')).node?.owner === '');
      await assert.rejects(asBen({ op: 'put', domain, node: 'x', value: '3' }), {
        code: 'PARK_RIGHTS_MISSING',
        detail: /session has ended/,
      });
      await assert.rejects(put(domain, 'x', '3', anna), { code: 'PARK_SESSION_UNKNOWN' });
      await other.write({ ...ben, force: true }, { writes: [{ op: 'put', domain, node: 'x', value: '3' }] });
      await asBen({ op: 'delete-domain', domain });
      assert.equal(await other.domainRevision(domain), 0);
    });

    test('a session that is renewed lives; one that is not ends, with its nodes, and is told', async () => {
      const domain = newDomain();
      const kept = await store.openSession('kept', TTL_MS);
      const lost = await store.openSession('lost', TTL_MS);
      for (const { id } of [kept, lost])
        await store.write(
          { ...NOBODY, session: id },
          { writes: [{ op: 'create', domain, node: id.slice(0, 8).padStart(9, 'k'), value: '1', ephemeral: true }] },
        );
      const ear = new Ear();
      const watch = other.watch({ domain, node: '', afterRevision: 0 }, ear);
      const gone = async (): Promise<boolean> => {
        assert.ok((await store.renewSession(kept.id)) > 0);
        return ear.told.some((word) => word.startsWith('-'));
      };
      await eventually('the end of the session', gone, 15_000, 100);
      assert.equal((await other.list(domain, '', 10)).nodes.length, 1);
      await assert.rejects(store.renewSession(lost.id), { code: 'PARK_SESSION_UNKNOWN' });
      watch.close();
      await store.endSession(kept.id);
      await eventually('the other one', async () => (await other.list(domain, '', 10)).nodes.length === 0);
    });

    test('a node with a TTL goes by itself, later when it is written again', async () => {
      const domain = newDomain();
      await store.write(NOBODY, { writes: [{ op: 'create', domain, node: 'x', value: '1', ttlMs: 1_000 }] });
      assert.equal(await valueIn(other, domain, 'x'), '1');
      await eventually('its end', async () => (await valueIn(other, domain, 'x')) === undefined, 15_000, 100);
    });

    test('a watch hears what is there, then each change of content, in order, once; wherever it was made', async () => {
      const domain = newDomain();
      await put(domain, 'a', '0');
      const ear = new Ear();
      const one = new Ear();
      const handles = [
        store.watch({ domain, node: '', afterRevision: 0 }, ear),
        store.watch({ domain, node: 'a', afterRevision: 0 }, one),
      ];
      await eventually('the content', () => ear.events.length > 0);
      const through = [store, other];
      for (let value = 1; value <= 10; value++)
        await through[value % 2]?.write(NOBODY, {
          writes: [{ op: 'put', domain, node: value % 3 === 0 ? 'b' : 'a', value: String(value >> 1) }],
        });
      await store.write(NOBODY, { writes: [{ op: 'delete', domain, node: 'b' }] });
      const expected = ['[a=0]', 'a=0', 'a=1', 'b=1', 'a=2', 'b=3', 'a=3', 'a=4', 'b=4', 'a=5', '-b'].filter(
        (word) => word !== 'a=0',
      );
      await eventually('all of it', () => ear.told.at(-1) === '-b');
      assert.deepEqual(ear.told, expected);
      assert.deepEqual(
        one.told,
        expected.filter((word) => !word.includes('b')),
      );
      for (const handle of handles) handle.close();
    });

    test('a watch goes on after any revision, on either side', async () => {
      const domain = newDomain();
      const revisions: number[] = [];
      for (const value of ['1', '2', '3']) revisions.push((await put(domain, 'x', value)).revision);
      for (const from of [store, other]) {
        const ear = new Ear();
        const handle = from.watch({ domain, node: '', afterRevision: revisions[0] ?? 0 }, ear);
        await eventually('the rest', () => ear.told.length >= 2);
        assert.deepEqual(ear.told, ['x=2', 'x=3']);
        handle.close();
      }
    });

    test('under many writers a watch hears every value of its node in order, and ends with the last', async () => {
      const domain = newDomain();
      const ear = new Ear();
      const handle = other.watch({ domain, node: '', afterRevision: 0 }, ear);
      const written: [number, string][] = [];
      const write = async (through: ParkStore, writer: number): Promise<void> => {
        for (let index = 0; index < 8; index++) {
          const value = `"${writer}.${index}"`;
          const { revision } = await through.write(NOBODY, { writes: [{ op: 'put', domain, node: 'x', value }] });
          written.push([revision, value]);
        }
      };
      await Promise.all([0, 1, 2, 3].map((writer) => write(writer % 2 === 0 ? store : other, writer)));
      const inOrder = written.toSorted(([a], [b]) => a - b).map(([, value]) => `x=${value}`);
      await eventually('the last', () => ear.told.at(-1) === inOrder.at(-1));
      assert.deepEqual(
        ear.told.filter((word) => word.startsWith('x=')),
        inOrder,
      );
      handle.close();
    });

    test('a domain tells the revision of its last change, of any kind, and 0 when it is gone', async () => {
      const domain = newDomain();
      assert.equal(await store.domainRevision(domain), 0);
      await put(domain, 'x', '1');
      const { revision } = await put(domain, 'y', '1');
      assert.equal(await other.domainRevision(domain), revision);
      const removed = await store.write(NOBODY, { writes: [{ op: 'delete', domain, node: 'x' }] });
      assert.equal(await other.domainRevision(domain), removed.revision);
      await store.write(NOBODY, { writes: [{ op: 'delete', domain, node: 'y' }] });
      assert.equal(await other.domainRevision(domain), 0);
    });

    test('listings come in the order of names, page by page, domains too', async () => {
      const domain = newDomain();
      for (const node of ['b', 'a', 'B', 'c']) await put(domain, node, '1');
      const first = await other.list(domain, '', 3);
      assert.deepEqual([first.nodes.map(({ node }) => node), first.next], [['B', 'a', 'b'], 'b']);
      const rest = await other.list(domain, first.next, 3);
      assert.deepEqual([rest.nodes.map(({ node }) => node), rest.next], [['c'], '']);
      const found = await store.domains(domain, '');
      assert.deepEqual(
        found.map((one) => [one.domain, one.nodes]),
        [[domain, 4]],
      );
    });

    test('what may not be asked is refused alike', async () => {
      const domain = newDomain();
      await assert.rejects(put('trunkline.x', 'x', '1'), { code: 'PARK_RIGHTS_MISSING' });
      await assert.rejects(put(domain, 'no/slash', '1'), { code: 'PARK_REQUEST_INVALID' });
      await assert.rejects(put(domain, 'x', `"${'x'.repeat(1_100_000)}"`), { code: 'PARK_VALUE_TOO_LARGE' });
      await assert.rejects(store.list(domain, '', 1_001), { code: 'PARK_REQUEST_INVALID' });
      await assert.rejects(store.openSession('a b', 1_000), { code: 'PARK_REQUEST_INVALID' });
      await assert.rejects(store.renewSession('f'.repeat(32)), { code: 'PARK_SESSION_UNKNOWN' });
      await assert.rejects(store.write(NOBODY, { writes: [{ op: 'update', domain, node: 'x', value: '1' }] }), {
        code: 'PARK_NODE_UNKNOWN',
      });
      await put(domain, 'largest', `"${'x'.repeat(1_000_000)}"`);
      assert.equal((await valueIn(other, domain, 'largest'))?.length, 1_000_002);
    });
  });
}
