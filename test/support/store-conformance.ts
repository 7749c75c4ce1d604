/** What every kind of replica must do alike, as tests to be registered for one kind. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type {
  ReplicatedStore,
  Row,
  SqlValue,
  StoreHooks,
  WriteOutcome,
  WriteTransaction,
} from '../../db/replicated-store.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { PlatformError } from '../../shared/errors.ts';

export const TEST_SCHEMA = [
  'CREATE TABLE IF NOT EXISTS accounts (account VARCHAR(256) PRIMARY KEY, balance BIGINT NOT NULL, entry_count BIGINT NOT NULL)',
  'CREATE TABLE IF NOT EXISTS entries (account VARCHAR(256) NOT NULL, number BIGINT NOT NULL, amount BIGINT NOT NULL, request_id VARCHAR(128) NOT NULL, PRIMARY KEY (account, number))',
  'CREATE TABLE IF NOT EXISTS things (name VARCHAR(64) PRIMARY KEY, whole BIGINT, part DOUBLE, words VARCHAR(256), bytes BLOB)',
];

export interface StoreUnderTest {
  /** A new store over the same replicas, as another app server of the group would open it. */
  open(hooks?: StoreHooks, clock?: Clock): Promise<ReplicatedStore>;
  /** Reads each replica directly. @returns the same query's rows from every replica, the leader first */
  inspect(sql: string): Promise<Row[][]>;
}

/** For a store that does not look after its replicas by itself, only when it writes. */
export const CLOCK_WITHOUT_CHECKS: Clock = { ...systemClock, every: () => ({ cancel: () => undefined }) };

export function inMs(durationMs: number): number {
  return systemClock.nowMs() + durationMs;
}

export function deposit(
  store: ReplicatedStore,
  account: string,
  amount: number,
  options: { requestId?: string; fingerprint?: string; deadlineAtMs?: number } = {},
): Promise<WriteOutcome<{ balance: number }>> {
  const { requestId = randomUUID(), fingerprint = 'f', deadlineAtMs = inMs(20_000) } = options;
  return store.write({ requestId, fingerprint, account, bucket: 7, deadlineAtMs }, (tx) =>
    depositIn(tx, account, amount, requestId),
  );
}

export async function depositIn(
  tx: WriteTransaction,
  account: string,
  amount: number,
  requestId: string,
): Promise<{ balance: number }> {
  const [row] = await tx.query('SELECT balance, entry_count FROM accounts WHERE account = ?', [account]);
  const balance = Number(row?.['balance'] ?? 0) + amount;
  const number = Number(row?.['entry_count'] ?? 0) + 1;
  if (row === undefined)
    await tx.execute('INSERT INTO accounts (account, balance, entry_count) VALUES (?, 0, 0)', [account]);
  await tx.execute('INSERT INTO entries (account, number, amount, request_id) VALUES (?, ?, ?, ?)', [
    account,
    number,
    amount,
    requestId,
  ]);
  await tx.execute('UPDATE accounts SET balance = ?, entry_count = ? WHERE account = ?', [balance, number, account]);
  return { balance };
}

/** Every replica has the same logs and rows, and every balance is the sum of its entries. */
export async function assertInStep(subject: StoreUnderTest): Promise<void> {
  for (const sql of [
    'SELECT seq, xid, request_id, epoch, account, bucket, fingerprint, statements, reply, at FROM tl_log ORDER BY seq',
    'SELECT name, token FROM tl_fence_tokens ORDER BY name',
    'SELECT * FROM accounts ORDER BY account',
    'SELECT * FROM entries ORDER BY account, number',
    'SELECT * FROM things ORDER BY name',
  ]) {
    const [leader, ...followers] = await subject.inspect(sql);
    for (const rows of followers) assert.deepEqual(rows, leader);
  }
  const [odd] = await subject.inspect(
    'SELECT a.account FROM accounts a WHERE a.balance <> (SELECT SUM(e.amount) FROM entries e WHERE e.account = a.account)',
  );
  assert.deepEqual(odd, []);
}

export function rejectsWith(code: ErrorCode, detail?: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof PlatformError, `expected a PlatformError, ${String(thrown)} came`);
    assert.equal(thrown.code, code, thrown.detail);
    if (detail !== undefined) assert.match(thrown.detail, detail);
    return true;
  };
}

export function describeStore(kind: string, subject: () => StoreUnderTest): void {
  describe(`${kind} store`, () => {
    let store: ReplicatedStore;
    const read = (sql: string, params: readonly SqlValue[] = []): Promise<Row[]> =>
      store.read(sql, params, inMs(10_000));
    const write = <T>(
      run: (tx: WriteTransaction) => Promise<T>,
      requestId: string = randomUUID(),
    ): Promise<WriteOutcome<T>> =>
      store.write({ requestId, fingerprint: 'f', account: 'a', bucket: 1, deadlineAtMs: inMs(20_000) }, run);
    before(async () => {
      store = await subject().open();
    });
    after(() => store.close());
    describeEffects(subject, () => store, read, write);
    describeValues(read, write);
    describeRefusals(subject, () => store, read, write);
  });
}

type ReadFunction = (sql: string, params?: readonly SqlValue[]) => Promise<Row[]>;
type WriteFunction = <T>(run: (tx: WriteTransaction) => Promise<T>, requestId?: string) => Promise<WriteOutcome<T>>;

function describeEffects(
  subject: () => StoreUnderTest,
  store: () => ReplicatedStore,
  read: ReadFunction,
  write: WriteFunction,
): void {
  test('a write is in every replica when it is acknowledged', async () => {
    const outcome = await deposit(store(), 'alice', 5);
    assert.deepEqual(outcome, { value: { balance: 5 }, replayed: false });
    for (const rows of await subject().inspect("SELECT balance FROM accounts WHERE account = 'alice'")) {
      assert.deepEqual(rows, [{ balance: 5 }]);
    }
    await assertInStep(subject());
  });

  test('the same request id again answers the first result and has no second effect', async () => {
    const first = await deposit(store(), 'bob', 3, { requestId: 'twice' });
    const second = await deposit(store(), 'bob', 3, { requestId: 'twice' });
    assert.deepEqual(first, { value: { balance: 3 }, replayed: false });
    assert.deepEqual(second, { value: { balance: 3 }, replayed: true });
    assert.deepEqual(await read('SELECT balance FROM accounts WHERE account = ?', ['bob']), [{ balance: 3 }]);
  });

  test('the same request id many times at once has one effect', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => deposit(store(), 'carol', 2, { requestId: 'at-once' })),
    );
    assert.equal(outcomes.filter(({ replayed }) => !replayed).length, 1);
    assert.ok(outcomes.every(({ value }) => value.balance === 2));
  });

  test('the same request id at two app servers at once has one effect', async () => {
    const other = await subject().open();
    try {
      for (let round = 0; round < 10; round += 1) {
        const options = { requestId: `pair-${round}` };
        const outcomes = await Promise.all([deposit(store(), 'dave', 1, options), deposit(other, 'dave', 1, options)]);
        assert.equal(outcomes.filter(({ replayed }) => !replayed).length, 1);
      }
      assert.deepEqual(await read('SELECT balance FROM accounts WHERE account = ?', ['dave']), [{ balance: 10 }]);
    } finally {
      await other.close();
    }
  });

  test('a request id with another fingerprint is refused', async () => {
    await deposit(store(), 'erin', 1, { requestId: 'reused', fingerprint: 'one' });
    await assert.rejects(
      deposit(store(), 'erin', 1, { requestId: 'reused', fingerprint: 'other' }),
      rejectsWith('IDEMPOTENCY_KEY_REUSED'),
    );
  });

  test('many writes at two app servers lose nothing and keep the replicas equal', async () => {
    const other = await subject().open();
    try {
      const writes = Array.from({ length: 200 }, (_, index) =>
        deposit(index % 2 === 0 ? store() : other, `many-${index % 7}`, index + 1),
      );
      await Promise.all(writes);
      const [row] = await read(
        "SELECT SUM(balance) AS total, COUNT(*) AS accounts FROM accounts WHERE account LIKE 'many-%'",
      );
      assert.deepEqual(row, { total: 20_100, accounts: 7 });
      await assertInStep(subject());
    } finally {
      await other.close();
    }
  });

  test('a callback that throws is undone alone, and its error passes through', async () => {
    const refusal = new PlatformError('SERVICE_PROBLEM', 'no');
    const results = await Promise.allSettled([
      deposit(store(), 'frank', 1),
      write(async (tx) => {
        await depositIn(tx, 'grace', 1, 'x');
        throw refusal;
      }, 'thrown'),
      deposit(store(), 'frank', 2),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((results[1] as PromiseRejectedResult).reason, refusal);
    assert.deepEqual(await read("SELECT account, balance FROM accounts WHERE account IN ('frank', 'grace')"), [
      { account: 'frank', balance: 3 },
    ]);
    assert.deepEqual(await read("SELECT request_id FROM tl_log WHERE request_id = 'thrown'"), []);
  });
}

function describeValues(read: ReadFunction, write: WriteFunction): void {
  test('values come back as they went in', async () => {
    const big = 2n ** 60n + 1n;
    const words = 'Zoë "\\% 東京 🎉 it\'s';
    const bytes = new Uint8Array([0, 1, 254, 255]);
    await write((tx) =>
      tx.execute('INSERT INTO things (name, whole, part, words, bytes) VALUES (?, ?, ?, ?, ?)', [
        'v',
        big,
        0.1,
        words,
        bytes,
      ]),
    );
    const [row] = await read('SELECT whole, part, words, bytes FROM things WHERE name = ?', ['v']);
    assert.ok(row !== undefined);
    assert.deepEqual(
      { ...row, bytes: [...(row['bytes'] as Uint8Array)] },
      { whole: big, part: 0.1, words, bytes: [...bytes] },
    );
    await write((tx) => tx.execute('UPDATE things SET whole = ?, words = ? WHERE whole = ?', [-7, null, big]));
    assert.deepEqual(await read('SELECT whole, words FROM things WHERE whole = ?', [-7]), [{ whole: -7, words: null }]);
  });

  test('keys are compared exactly: case, accents and trailing spaces count', async () => {
    const keys = ['key', 'KEY', 'kéy', 'key ', 'key\u0301'];
    await write(async (tx) => {
      for (const key of keys) await tx.execute('INSERT INTO things (name) VALUES (?)', [key]);
    });
    for (const key of keys)
      assert.deepEqual(await read('SELECT name FROM things WHERE name = ?', [key]), [{ name: key }]);
  });

  test('sums and counts are numbers', async () => {
    await write((tx) => tx.execute("INSERT INTO things (name, whole) VALUES ('s1', 4), ('s2', 5)"));
    assert.deepEqual(
      await read(
        "SELECT SUM(whole) AS total, COUNT(*) AS n, MAX(whole) AS most FROM things WHERE name IN ('s1', 's2')",
      ),
      [{ total: 9, n: 2, most: 5 }],
    );
  });

  test('a write sees its own statements and the rows they matched', async () => {
    const { value } = await write(async (tx) => {
      await tx.execute("INSERT INTO things (name, whole) VALUES ('w', 1)");
      const same = await tx.execute("UPDATE things SET whole = 1 WHERE name = 'w'");
      const none = await tx.execute("UPDATE things SET whole = 2 WHERE name = 'nobody'");
      return {
        rows: await tx.query("SELECT whole FROM things WHERE name = 'w'"),
        same: same.changes,
        none: none.changes,
      };
    });
    assert.deepEqual(value, { rows: [{ whole: 1 }], same: 1, none: 0 });
  });

  test('now, uuid and random reach every replica as the same values', async () => {
    await write((tx) =>
      tx.execute('INSERT INTO things (name, whole, part) VALUES (?, ?, ?)', [tx.uuid(), tx.now(), tx.random()]),
    );
  });
}

function describeRefusals(
  subject: () => StoreUnderTest,
  store: () => ReplicatedStore,
  read: ReadFunction,
  write: WriteFunction,
): void {
  test('a failed statement fails its request whole, even when the callback swallows the error', async () => {
    await write((tx) => tx.execute("INSERT INTO things (name) VALUES ('dup')"));
    const swallowing = write(async (tx) => {
      await tx.execute("INSERT INTO things (name) VALUES ('before-dup')");
      await tx.execute("INSERT INTO things (name) VALUES ('dup')").catch(() => undefined);
      return 'fine';
    });
    await assert.rejects(swallowing, rejectsWith('STATEMENT_FAILED'));
    assert.deepEqual(await read("SELECT name FROM things WHERE name = 'before-dup'"), []);
  });

  test('a statement nobody awaits fails its request and nothing else', async () => {
    const forgetful = write(async (tx) => {
      void tx.execute('INSERT INTO nowhere VALUES (1)');
    });
    await assert.rejects(forgetful, rejectsWith('STATEMENT_FAILED'));
  });

  test('a call after the callback has ended is refused', async () => {
    let leaked: WriteTransaction | undefined;
    await write(async (tx) => {
      leaked = tx;
    });
    await assert.rejects(
      leaked?.execute("DELETE FROM things WHERE name = 'v'") ?? Promise.resolve(),
      rejectsWith('STATEMENT_FAILED', /ended/),
    );
  });

  test('a callback that overruns its deadline leaves, and the others of its batch go on', async () => {
    let leaked: WriteTransaction | undefined;
    const { promise: soon, resolve: late } = Promise.withResolvers<void>();
    // The store's own timers keep no process alive; this one does, and lets the callback go on when it is too late.
    const pause = systemClock.sleep(400).then(late);
    const request = { requestId: 'slow', fingerprint: 'f', account: 'slow', bucket: 7, deadlineAtMs: inMs(150) };
    const results = await Promise.allSettled([
      deposit(store(), 'harry', 1),
      store().write(request, async (tx) => {
        leaked = tx;
        await depositIn(tx, 'slow', 1, 'slow');
        await soon;
      }),
      deposit(store(), 'harry', 2),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.ok(rejectsWith('DEADLINE_EXCEEDED')((results[1] as PromiseRejectedResult).reason));
    await pause;
    await assert.rejects(
      leaked?.query('SELECT 1 AS one') ?? Promise.resolve(),
      rejectsWith('STATEMENT_FAILED', /ended/),
    );
    assert.deepEqual(await read("SELECT balance FROM accounts WHERE account IN ('harry', 'slow')"), [{ balance: 3 }]);
    await assertInStep(subject());
  });

  test('SQL that would differ between replicas or end the transaction is refused', async () => {
    for (const sql of [
      'DELETE FROM things WHERE part < RANDOM()',
      'COMMIT',
      'DROP TABLE things',
      'DELETE FROM things; DELETE FROM accounts',
    ]) {
      await assert.rejects(
        write((tx) => tx.execute(sql)),
        rejectsWith('STATEMENT_FAILED'),
      );
    }
    await assert.rejects(read('DELETE FROM things'), rejectsWith('STATEMENT_FAILED'));
    await assert.rejects(
      write((tx) => tx.query('DELETE FROM things')),
      rejectsWith('STATEMENT_FAILED'),
    );
  });

  test('a wrong read says what is wrong and does not blame the replica', async () => {
    await assert.rejects(read('SELECT nothing FROM nowhere'), rejectsWith('STATEMENT_FAILED'));
    assert.ok(
      store()
        .status()
        .every(({ healthy }) => healthy),
    );
  });

  test('a parameter that no replica could keep is refused', async () => {
    await assert.rejects(
      read('SELECT 1 AS one WHERE ? = 1', [Number.NaN]),
      rejectsWith('STATEMENT_FAILED', /parameter 1/),
    );
    await assert.rejects(read('SELECT 1 AS one WHERE ? = 1', ['\ud800']), rejectsWith('STATEMENT_FAILED', /surrogate/));
    await assert.rejects(read('SELECT 1 AS one WHERE ? = 1', ['a\0b']), rejectsWith('STATEMENT_FAILED', /NUL/));
  });

  test('status shows every replica in step', async () => {
    const status = store().status();
    assert.deepEqual(
      status.map(({ leader, healthy }) => [leader, healthy]),
      status.map((_, index) => [index === 0, true]),
    );
  });
}
