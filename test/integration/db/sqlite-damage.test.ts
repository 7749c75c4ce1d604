/** What a store does with SQLite replicas that are missing, unusable or different: it says so, and never uses them. */
import assert from 'node:assert/strict';
import { mkdir, rename, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { ReplicatedStore, Row } from '../../../db/replicated-store.ts';
import { eventually } from '../../support/eventually.ts';
import { SqliteSubject } from '../../support/sqlite-subject.ts';
import { assertInStep, deposit, inMs, rejectsWith } from '../../support/store-conformance.ts';

describe('damaged SQLite replicas', () => {
  let subject: SqliteSubject;
  let store: ReplicatedStore;
  beforeEach(async () => {
    subject = await SqliteSubject.create(2);
    store = await subject.open();
    await deposit(store, 'alice', 5, { requestId: 'first' });
    await store.close();
  });
  afterEach(async () => {
    await store.close();
    await subject.remove();
  });
  const balances = (): Promise<Row[]> => store.read('SELECT balance FROM accounts', [], inMs(5_000));

  test('a follower whose file is gone is made again from the log', async () => {
    await rm(subject.file(1));
    store = await subject.open();
    await assertInStep(subject);
    assert.deepEqual(
      store.status().map(({ healthy, logSeq }) => [healthy, logSeq]),
      [
        [true, 1],
        [true, 1],
      ],
    );
  });

  test('a follower that is ahead of the leader is never read, and nothing is written', async () => {
    await rm(subject.file(0));
    store = await subject.open();
    const [, follower] = store.status();
    assert.equal(follower?.healthy, false);
    assert.match(follower?.reason ?? '', /REPLICAS_DIVERGED.*r2 ends with entry 1/);
    assert.deepEqual(await balances(), []);
    await assert.rejects(deposit(store, 'alice', 1), rejectsWith('REPLICAS_DIVERGED'));
    const [leader] = await subject.inspect('SELECT * FROM tl_log');
    assert.deepEqual(leader, []);
  });

  test('a follower with another history is never read', async () => {
    subject.tamper(1, "UPDATE tl_log SET request_id = 'other'");
    store = await subject.open();
    assert.match(store.status()[1]?.reason ?? '', /REPLICAS_DIVERGED/);
    await assert.rejects(deposit(store, 'alice', 1), rejectsWith('REPLICAS_DIVERGED'));
  });

  test('a follower with other data shows when a statement does something else there: undone everywhere, read no more', async () => {
    subject.tamper(1, 'DELETE FROM accounts');
    store = await subject.open();
    await assert.rejects(
      deposit(store, 'alice', 1),
      rejectsWith('REPLICAS_DIVERGED', /affected 1 rows on the leader, 0 here/),
    );
    assert.match(store.status()[1]?.reason ?? '', /REPLICAS_DIVERGED/);
    for (let round = 0; round < 50; round += 1) assert.deepEqual(await balances(), [{ balance: 5 }]);
    for (const rows of await subject.inspect('SELECT seq FROM tl_log')) assert.equal(rows.length, 1);
  });

  test('one request that differs does not take the others of its batch down', async () => {
    subject.tamper(1, 'DELETE FROM accounts');
    store = await subject.open();
    const results = await Promise.allSettled([
      deposit(store, 'bob', 1),
      deposit(store, 'alice', 1),
      deposit(store, 'carol', 1),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  test('a follower that is taken away while open: writes fail without effect, reads go on', async () => {
    store = await subject.open();
    await rename(subject.file(1), `${subject.file(1)}.away`);
    await eventually('the loss is noticed', () =>
      deposit(store, 'alice', 1).then(
        () => false,
        (thrown) => rejectsWith('STORE_UNAVAILABLE', /removed or replaced/)(thrown),
      ),
    );
    const [{ balance } = { balance: 0 }] = await balances();
    for (let round = 0; round < 20; round += 1) assert.deepEqual(await balances(), [{ balance }]);
    await rename(`${subject.file(1)}.away`, subject.file(1));
    await eventually('it is back in use', () => deposit(store, 'alice', 1).catch(() => undefined));
    await assertInStep(subject);
  });

  test('a follower that cannot be opened: reads go on, and writes too once it can', async () => {
    for (const ending of ['', '-wal', '-shm']) await rm(subject.file(1) + ending, { force: true });
    await mkdir(subject.file(1));
    store = await subject.open();
    assert.deepEqual(await balances(), [{ balance: 5 }]);
    await assert.rejects(deposit(store, 'alice', 1), rejectsWith('STORE_UNAVAILABLE', /r2/));
    assert.equal(store.status()[1]?.healthy, false);
    await rm(subject.file(1), { recursive: true });
    await eventually('it is made and levelled', () => deposit(store, 'alice', 1).catch(() => undefined));
    await assertInStep(subject);
  });

  test('a leader that cannot be opened is an error that names it', async () => {
    for (const ending of ['', '-wal', '-shm']) await rm(subject.file(0) + ending, { force: true });
    await mkdir(subject.file(0));
    await assert.rejects(subject.open(), rejectsWith('STORE_UNAVAILABLE', /r1\.db/));
  });
});
