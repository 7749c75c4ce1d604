/** How every kind of replica must treat writes with a fence, as tests to be registered for one kind. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { FENCE_NAME_CHARS_MAX } from '../../db/limits.ts';
import type { Fence, ReplicatedStore, Row, WriteOutcome } from '../../db/replicated-store.ts';
import { PlatformError } from '../../shared/errors.ts';
import { fewerRuns } from './property-runs.ts';
import { assertInStep, inMs, rejectsWith, type StoreUnderTest } from './store-conformance.ts';

const REFUSAL = new PlatformError('SERVICE_PROBLEM', 'no');

interface FencedWrite {
  readonly requestId?: string;
  /** Throws after its statement. */
  readonly throws?: boolean;
}

/** Adds a row to `things`, named as the request. */
function fenced(store: ReplicatedStore, fence: Fence, options: FencedWrite = {}): Promise<WriteOutcome<string>> {
  const { requestId = randomUUID(), throws = false } = options;
  const request = {
    requestId,
    fingerprint: 'f',
    account: fence.name.slice(0, 64),
    bucket: 1,
    deadlineAtMs: inMs(20_000),
    fence,
  };
  return store.write(request, async (tx) => {
    await tx.execute('INSERT INTO things (name, whole) VALUES (?, ?)', [requestId, fence.token]);
    if (throws) throw REFUSAL;
    return requestId;
  });
}

export function describeFences(kind: string, subject: () => StoreUnderTest): void {
  describe(`fences on ${kind}`, () => {
    let store: ReplicatedStore;
    before(async () => {
      store = await subject().open();
    });
    after(() => store.close());
    describeTokens(subject, () => store);
    describeCompany(subject, () => store);
  });
}

async function newestOf(subject: StoreUnderTest, name: string): Promise<Row[][]> {
  return subject.inspect(`SELECT token FROM tl_fence_tokens WHERE name = '${name}'`);
}

function describeTokens(subject: () => StoreUnderTest, store: () => ReplicatedStore): void {
  const thingsOf = async (name: string): Promise<Row[]> =>
    store().read('SELECT name FROM things WHERE name = ?', [name], inMs(10_000));

  test('an older token than the newest seen is refused and changes nothing, on any replica', async () => {
    await fenced(store(), { name: 'locks/a', token: 7 });
    const late = fenced(store(), { name: 'locks/a', token: 6 }, { requestId: 'late' });
    await assert.rejects(late, rejectsWith('FENCE_OUTDATED', /locks\/a of at least 7, 6 came/));
    for (const rows of await subject().inspect("SELECT name FROM things WHERE name = 'late'")) {
      assert.deepEqual(rows, []);
    }
    for (const rows of await newestOf(subject(), 'locks/a')) assert.deepEqual(rows, [{ token: 7 }]);
    await assertInStep(subject());
  });

  test('the same token passes again, a newer one passes and is kept on every replica', async () => {
    for (const token of [3, 3, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER]) {
      await fenced(store(), { name: 'locks/b', token });
    }
    for (const rows of await newestOf(subject(), 'locks/b')) {
      assert.deepEqual(rows, [{ token: Number.MAX_SAFE_INTEGER }]);
    }
    await assertInStep(subject());
  });

  test('a write that is undone raises no token', async () => {
    await fenced(store(), { name: 'locks/c', token: 1 });
    const undone = fenced(store(), { name: 'locks/c', token: 9 }, { throws: true });
    await assert.rejects(undone, (thrown) => thrown === REFUSAL);
    await fenced(store(), { name: 'locks/c', token: 2 });
    for (const rows of await newestOf(subject(), 'locks/c')) assert.deepEqual(rows, [{ token: 2 }]);
  });

  test('names are told apart exactly, and a long one is kept whole', async () => {
    const long = `x${'y'.repeat(FENCE_NAME_CHARS_MAX - 1)}`;
    await fenced(store(), { name: 'locks/d', token: 5 });
    await fenced(store(), { name: long, token: 5 });
    for (const name of ['locks/D', 'locks/d.', long.slice(0, -1)]) await fenced(store(), { name, token: 1 });
    await assert.rejects(fenced(store(), { name: long, token: 4 }), rejectsWith('FENCE_OUTDATED'));
  });

  test('a repeated request gets its first result, though its token is outdated by now', async () => {
    const first = { name: 'locks/e', token: 1 };
    await fenced(store(), first, { requestId: 'repeated' });
    await fenced(store(), { name: 'locks/e', token: 2 });
    assert.deepEqual(await fenced(store(), first, { requestId: 'repeated' }), { value: 'repeated', replayed: true });
    assert.equal((await thingsOf('repeated')).length, 1);
  });
}

/** One write of a plan, and what a list of them must come to when run one after another. */
interface Planned {
  readonly name: string;
  readonly token: number;
  readonly throws: boolean;
}

const plan: fc.Arbitrary<Planned[]> = fc.array(
  fc.record({ name: fc.constantFrom('p', 'q'), token: fc.integer({ min: 1, max: 5 }), throws: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);

type Ending = 'done' | 'thrown' | 'outdated';

/** The rule, said once more and simpler. */
function expectedEndings(writes: readonly Planned[], newest: Map<string, number>): Ending[] {
  return writes.map(({ name, token, throws }) => {
    if (token < (newest.get(name) ?? 0)) return 'outdated';
    if (throws) return 'thrown';
    newest.set(name, token);
    return 'done';
  });
}

async function endingOf(write: Promise<unknown>): Promise<Ending> {
  try {
    await write;
    return 'done';
  } catch (thrown) {
    if (thrown === REFUSAL) return 'thrown';
    rejectsWith('FENCE_OUTDATED')(thrown);
    return 'outdated';
  }
}

function describeCompany(subject: () => StoreUnderTest, store: () => ReplicatedStore): void {
  test('writes that share a transaction count in their order; one that is undone counts for nothing', async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(plan, async (writes) => {
        round += 1;
        const nameOf = (name: string): string => `plans/${name}-${round}`;
        const newest = new Map<string, number>();
        const expected = expectedEndings(writes, newest);
        const endings = await Promise.all(
          writes.map(({ name, token, throws }) => endingOf(fenced(store(), { name: nameOf(name), token }, { throws }))),
        );
        assert.deepEqual(endings, expected);
        const kept = await store().read(
          'SELECT name, token FROM tl_fence_tokens WHERE name IN (?, ?) ORDER BY name',
          [nameOf('p'), nameOf('q')],
          inMs(10_000),
        );
        const inOrder = [...newest].map(([name, token]) => ({ name: nameOf(name), token }));
        assert.deepEqual(
          kept.map((row) => ({ ...row })),
          inOrder.sort((a, b) => (a.name < b.name ? -1 : 1)),
        );
      }),
      fewerRuns(50),
    );
    await assertInStep(subject());
  });

  test('at two app servers at once, tokens of what took effect never go back', async () => {
    const other = await subject().open();
    try {
      const writes = Array.from({ length: 120 }, (_, index) =>
        endingOf(fenced(index % 2 === 0 ? store() : other, { name: 'locks/both', token: 1 + ((index * 7) % 40) })),
      );
      const endings = await Promise.all(writes);
      assert.ok(endings.includes('done') && endings.includes('outdated'), endings.join());
      const [logged] = await subject().inspect(
        "SELECT t.whole AS token FROM tl_log l JOIN things t ON t.name = l.request_id WHERE l.account = 'locks/both' ORDER BY l.seq",
      );
      const tokens = (logged ?? []).map((row) => Number(row['token']));
      assert.equal(tokens.length, endings.filter((ending) => ending === 'done').length);
      assert.deepEqual(
        tokens,
        tokens.toSorted((a, b) => a - b),
      );
      await assertInStep(subject());
    } finally {
      await other.close();
    }
  });
}
