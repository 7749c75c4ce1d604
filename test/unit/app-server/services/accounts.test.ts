import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { service } from '../../../../app-server/services/accounts/service.ts';
import { HandlerBench, type RequestFields } from '../../../support/handler-bench.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

const BALANCE_MAX = Number.MAX_SAFE_INTEGER;
const AMOUNT_MAX = 1_000_000_000_000;

interface EntryPage {
  readonly entries: readonly { readonly number: number; readonly amount: number; readonly atMs: number }[];
  readonly before: number | null;
}

describe('accounts', () => {
  let store: MemoryStore;
  let bench: HandlerBench;

  beforeEach(() => {
    store = new MemoryStore(service.schema);
    bench = new HandlerBench([service], { store });
  });
  afterEach(() => store.close());

  const create = (name: string) => bench.json('PUT', `/accounts/${name}`, { body: {} });
  const post = (name: string, kind: 'deposits' | 'withdrawals', amount: unknown, fields: RequestFields = {}) =>
    bench.json('POST', `/accounts/${name}/${kind}`, { body: { amount }, ...fields });
  const page = async (name: string, query = ''): Promise<EntryPage> =>
    (await bench.json('GET', `/accounts/${name}/entries${query}`)).value as EntryPage;
  const setBalance = (name: string, balance: number): void => {
    store.database.prepare('UPDATE accounts SET balance = ? WHERE account = ?').run(BigInt(balance), name);
  };
  const problemOf = ({ status, value }: { status: number; value: unknown }) => [
    status,
    (value as { problem?: string }).problem ?? (value as { code: string }).code,
  ];

  it('creates an account once, and says whether it was new', async () => {
    assert.deepEqual(await create('alice'), { status: 201, value: { account: 'alice', balance: 0 } });
    await post('alice', 'deposits', 5);
    assert.deepEqual(await create('alice'), { status: 200, value: { account: 'alice', balance: 5 } });
    assert.deepEqual(await bench.json('PUT', '/accounts/bob'), { status: 201, value: { account: 'bob', balance: 0 } });
  });

  it('refuses to create an account with anything in the body', async () => {
    assert.deepEqual(problemOf(await bench.json('PUT', '/accounts/alice', { body: { balance: 5 } })), [
      400,
      'BODY_INVALID',
    ]);
  });

  it('answers a deposit with the account first and then its entry', async () => {
    await create('alice');
    const { reply } = await bench.ask('POST', '/accounts/alice/deposits', { body: { amount: 5 } });
    assert.equal(reply?.status, 201);
    assert.equal(reply.body, '{"account":"alice","balance":5,"entry":{"number":1,"amount":5,"atMs":1700000000000}}');
  });

  it('tells the balance', async () => {
    await create('alice');
    await post('alice', 'deposits', 5);
    assert.deepEqual(await bench.json('GET', '/accounts/alice'), {
      status: 200,
      value: { account: 'alice', balance: 5 },
    });
  });

  it('withdraws down to zero and not below', async () => {
    await create('alice');
    await post('alice', 'deposits', 5);
    assert.deepEqual(await post('alice', 'withdrawals', 6), {
      status: 409,
      value: { code: 'SERVICE_PROBLEM', problem: 'insufficient-funds', detail: 'expected at most 5, got 6' },
    });
    assert.equal((await post('alice', 'withdrawals', 5)).status, 201);
    assert.deepEqual(problemOf(await post('alice', 'withdrawals', 1)), [409, 'insufficient-funds']);
    assert.deepEqual(
      (await page('alice')).entries.map(({ amount }) => amount),
      [-5, 5],
    );
  });

  it('deposits up to 2^53 - 1 and not above', async () => {
    await create('alice');
    setBalance('alice', BALANCE_MAX - 10);
    assert.deepEqual(problemOf(await post('alice', 'deposits', 11)), [409, 'balance-too-large']);
    const { reply } = await bench.ask('POST', '/accounts/alice/deposits', { body: { amount: 10 } });
    assert.match(String(reply?.body), /"balance":9007199254740991,/);
    assert.deepEqual(problemOf(await post('alice', 'deposits', 1)), [409, 'balance-too-large']);
    assert.equal((await post('alice', 'withdrawals', 1)).status, 201);
    assert.deepEqual((await bench.json('GET', '/accounts/alice')).value, {
      account: 'alice',
      balance: BALANCE_MAX - 1,
    });
  });

  it('knows nothing of an account that was never created', async () => {
    for (const answer of [
      await bench.json('GET', '/accounts/nobody'),
      await bench.json('GET', '/accounts/nobody/entries'),
      await post('nobody', 'deposits', 1),
      await post('nobody', 'withdrawals', 1),
    ]) {
      assert.deepEqual(problemOf(answer), [404, 'account-unknown']);
    }
  });

  for (const amount of [0, -1, 1.5, '5', null, undefined, true, [5], AMOUNT_MAX + 1, 2 ** 53, 1e300]) {
    it(`refuses ${JSON.stringify(amount)} as an amount`, async () => {
      await create('alice');
      assert.deepEqual(problemOf(await post('alice', 'deposits', amount)), [400, 'BODY_INVALID']);
      assert.deepEqual(problemOf(await post('alice', 'withdrawals', amount)), [400, 'BODY_INVALID']);
      assert.equal((await page('alice')).entries.length, 0);
    });
  }

  it('takes the largest amount', async () => {
    await create('alice');
    assert.equal((await post('alice', 'deposits', AMOUNT_MAX)).status, 201);
  });

  it('lists entries newest first, page by page', async () => {
    await create('alice');
    for (let amount = 1; amount <= 7; amount += 1) await post('alice', 'deposits', amount);
    const first = await page('alice', '?limit=3');
    assert.deepEqual(
      first.entries.map(({ number, amount }) => [number, amount]),
      [
        [7, 7],
        [6, 6],
        [5, 5],
      ],
    );
    assert.equal(first.before, 5);
    const second = await page('alice', '?limit=3&before=5');
    assert.deepEqual(
      second.entries.map(({ number }) => number),
      [4, 3, 2],
    );
    const last = await page('alice', `?limit=3&before=${second.before}`);
    assert.deepEqual([last.entries.map(({ number }) => number), last.before], [[1], null]);
    assert.deepEqual((await page('alice', '?before=1')).entries, []);
    assert.equal((await page('alice', '?before=99')).entries.length, 7);
    assert.equal((await page('alice')).before, null);
  });

  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'before=0', 'before=-1', 'limit=1&limit=2']) {
    it(`refuses ?${query}`, async () => {
      await create('alice');
      assert.deepEqual(problemOf(await bench.json('GET', `/accounts/alice/entries?${query}`)), [400, 'QUERY_INVALID']);
    });
  }

  it('does a request that comes twice once', async () => {
    await create('alice');
    const request = { requestId: 'twice' };
    const first = await post('alice', 'deposits', 5, request);
    assert.deepEqual(await post('alice', 'deposits', 5, request), first);
    const headerBlock = 'idempotency-key:mine\n';
    const keyed = await post('alice', 'deposits', 7, { headerBlock });
    assert.deepEqual(await post('alice', 'deposits', 7, { headerBlock }), keyed);
    assert.deepEqual(problemOf(await post('alice', 'deposits', 8, { headerBlock })), [422, 'IDEMPOTENCY_KEY_REUSED']);
    assert.deepEqual((await bench.json('GET', '/accounts/alice')).value, { account: 'alice', balance: 12 });
  });

  it('says 201 again to the request that created the account', async () => {
    const fields = { body: {}, requestId: 'same' };
    assert.equal((await bench.json('PUT', '/accounts/alice', fields)).status, 201);
    assert.equal((await bench.json('PUT', '/accounts/alice', fields)).status, 201);
    assert.equal((await create('alice')).status, 200);
  });

  it('keeps accounts apart whose names only look alike', async () => {
    const names = ['alice', 'Alice', 'alice%20', '%C3%A4', 'a%CC%88', '1', '01', '%27%3B--'];
    for (const name of names) {
      const account = decodeURIComponent(name);
      assert.equal((await bench.json('PUT', `/accounts/${name}`, { body: {}, account })).status, 201, name);
    }
  });
});

describe('accounts, whatever is asked of them', () => {
  const step = fc.record({
    account: fc.constantFrom('a', 'b'),
    kind: fc.constantFrom('deposits', 'withdrawals', 'create', 'again'),
    amount: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(0, -3, 1.5, AMOUNT_MAX, AMOUNT_MAX + 1)),
  });

  it('the balance is the sum of the entries, as replied, and never negative', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, atOnce) => {
        const store = new MemoryStore(service.schema);
        const bench = new HandlerBench([service], { store });
        const replies = new Map<string, number[]>();
        let lastId = 'none';
        const run = async ({ account, kind, amount }: (typeof steps)[number], index: number): Promise<void> => {
          if (kind === 'create') {
            await bench.json('PUT', `/accounts/${account}`, { body: {} });
            return;
          }
          const requestId = kind === 'again' ? lastId : `step-${index}`;
          const target = `/accounts/${account}/${kind === 'withdrawals' ? kind : 'deposits'}`;
          const { status, value } = await bench.json('POST', target, { body: { amount }, requestId });
          assert.ok([201, 400, 404, 409, 422].includes(status), String(status));
          if (kind === 'again' || status !== 201) return;
          lastId = requestId;
          const posted = value as { balance: number; entry: { amount: number } };
          assert.equal(Math.abs(posted.entry.amount), amount);
          replies.set(account, [...(replies.get(account) ?? []), posted.entry.amount]);
        };
        if (atOnce) await Promise.all(steps.map(run));
        else for (const [index, one] of steps.entries()) await run(one, index);

        const rows = store.database
          .prepare(
            `SELECT a.account, a.balance, a.entry_count, COALESCE(SUM(e.amount), 0) AS total, COUNT(e.amount) AS entries,
                    COALESCE(MAX(e.entry_number), 0) AS highest
               FROM accounts a LEFT JOIN account_entries e ON e.account = a.account GROUP BY a.account`,
          )
          .all() as {
          account: string;
          balance: number;
          total: number;
          entry_count: number;
          entries: number;
          highest: number;
        }[];
        for (const row of rows) {
          assert.ok(row.balance >= 0);
          assert.equal(row.balance, row.total);
          assert.deepEqual([row.entries, row.highest], [row.entry_count, row.entry_count]);
          const { value } = await bench.json('GET', `/accounts/${row.account}`);
          assert.deepEqual(value, { account: row.account, balance: row.balance });
        }
        if (!steps.some(({ kind }) => kind === 'again')) {
          for (const row of rows) {
            const sum = (replies.get(row.account) ?? []).reduce((total, amount) => total + amount, 0);
            assert.equal(sum, row.balance);
          }
        }
        store.close();
      }),
      { numRuns: 60 },
    );
  });
});
