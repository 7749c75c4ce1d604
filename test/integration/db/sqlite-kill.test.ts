/** kill -9 of an app server at every step of a SQLite commit: nothing is lost, doubled, or different between replicas. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { COMMIT_STEPS } from '../../../db/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { SqliteSubject } from '../../support/sqlite-subject.ts';
import { assertInStep, CLOCK_WITHOUT_CHECKS, deposit, inMs } from '../../support/store-conformance.ts';
import { StoreProcess } from '../../support/store-process.ts';

const DECIDED_STEPS: readonly string[] = ['leaderCommitted', 'followerCommitted', 'allCommitted'];

describe('kill -9 in the middle of a SQLite commit', () => {
  let subject: SqliteSubject;
  beforeEach(async () => {
    subject = await SqliteSubject.create(3);
  });
  afterEach(() => subject.remove());

  for (const step of COMMIT_STEPS) {
    test(`at ${step}: a survivor and a restarted server agree, and the request has one effect`, async () => {
      const survivor = await subject.open();
      await deposit(survivor, 'alice', 10, { requestId: 'before' });
      const victim = new StoreProcess({
        replicas: subject.replicas,
        folder: subject.folder,
        dieAt: step,
        account: 'alice',
        prefix: 'killed',
        deposits: 1,
        atOnce: 1,
      });
      assert.equal(await victim.ended(), 'SIGKILL');
      assert.deepEqual(victim.acknowledged, []);
      const restarted = await subject.open();
      const again = { requestId: 'killed-0' };
      const outcomes = await Promise.all([deposit(survivor, 'alice', 1, again), deposit(restarted, 'alice', 1, again)]);
      assert.deepEqual(
        outcomes.map(({ value }) => value),
        [{ balance: 11 }, { balance: 11 }],
      );
      const first = outcomes.filter(({ replayed }) => !replayed).length;
      assert.equal(first, DECIDED_STEPS.includes(step) ? 0 : 1);
      await assertInStep(subject);
      assert.ok([survivor, restarted].every((store) => store.status().every(({ healthy }) => healthy)));
      await survivor.close();
      await restarted.close();
    });
  }

  test('a survivor asked again at once answers only when every replica has it', async () => {
    const survivor = await subject.open({}, CLOCK_WITHOUT_CHECKS);
    const { replicas, folder } = subject;
    const orders = { replicas, folder, account: 'dave', prefix: 'k', deposits: 1, atOnce: 1 };
    assert.equal(await new StoreProcess({ ...orders, dieAt: 'leaderCommitted' }).ended(), 'SIGKILL');
    assert.equal((await deposit(survivor, 'dave', 1, { requestId: 'k-0' })).replayed, true);
    for (const rows of await subject.inspect('SELECT request_id FROM tl_log')) assert.equal(rows.length, 1);
    await assertInStep(subject);
    await survivor.close();
  });

  test('an idle survivor levels the followers by itself', async () => {
    const survivor = await subject.open();
    const { replicas, folder } = subject;
    const victim = new StoreProcess({
      replicas,
      folder,
      dieAt: 'leaderCommitted',
      account: 'bob',
      prefix: 'k',
      deposits: 1,
      atOnce: 1,
    });
    assert.equal(await victim.ended(), 'SIGKILL');
    const followers = async (): Promise<number> =>
      (await subject.inspect('SELECT request_id FROM tl_log')).filter((rows) => rows.length === 1).length;
    assert.equal(await followers(), 1, 'only the leader has it');
    await eventually('every replica has it', async () => (await followers()) === 3);
    await assertInStep(subject);
    await survivor.close();
  });

  test('at any moment under load: every acknowledged deposit is there once, on every replica', async () => {
    const { replicas, folder } = subject;
    const start = (prefix: string): StoreProcess =>
      new StoreProcess({ replicas, folder, account: 'carol', prefix, deposits: 100_000, atOnce: 8 });
    const victims = [start('a'), start('b')];
    await Promise.all(victims.map((victim) => victim.untilAcknowledged(60)));
    await victims[0]?.kill();
    const before = victims[1]?.acknowledged.length ?? 0;
    await victims[1]?.untilAcknowledged(before + 60); // the other one goes on
    await victims[1]?.kill();
    const store = await subject.open();
    await assertInStep(subject);
    const rows = await store.read('SELECT request_id FROM entries ORDER BY number LIMIT 10000', [], inMs(5_000));
    const stored = rows.map((row) => String(row['request_id']));
    assert.equal(new Set(stored).size, stored.length, 'no deposit twice');
    const lost = victims.flatMap(({ acknowledged }) => acknowledged).filter((id) => !stored.includes(id));
    assert.deepEqual(lost, []);
    const replayed = await deposit(store, 'carol', 1, { requestId: stored[0] ?? '' });
    assert.equal(replayed.replayed, true);
    await store.close();
  });
});
