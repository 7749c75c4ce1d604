/** Killed app servers and killed databases, on real MariaDB servers: one for the leader, one for the follower. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { COMMIT_STEPS } from '../../../db/engine.ts';
import type { ReplicatedStore } from '../../../db/replicated-store.ts';
import { eventually } from '../../support/eventually.ts';
import { type Mariadb, mariadbSkipReason, startMariadb } from '../../support/mariadb.ts';
import { MysqlSubject } from '../../support/mysql-subject.ts';
import { assertInStep, CLOCK_WITHOUT_CHECKS, deposit, inMs, rejectsWith } from '../../support/store-conformance.ts';
import { StoreProcess } from '../../support/store-process.ts';

const DECIDED_STEPS: readonly string[] = ['leaderCommitted', 'followerCommitted', 'allCommitted'];

describe('recovery on MariaDB', { skip: mariadbSkipReason() }, () => {
  let leader: Mariadb;
  let follower: Mariadb;
  let subject: MysqlSubject;
  let rounds = 0;
  before(async () => {
    [leader, follower] = await Promise.all([startMariadb(), startMariadb()]);
  });
  after(async () => {
    await Promise.all([leader?.stop(), follower?.stop()]);
  });
  beforeEach(async () => {
    rounds += 1;
    subject = await MysqlSubject.create([
      { server: leader, database: `round_${rounds}` },
      { server: follower, database: `round_${rounds}` },
    ]);
  });
  afterEach(() => subject.remove());

  for (const step of COMMIT_STEPS) {
    test(`an app server killed at ${step}: a survivor and a restarted one agree, and the request has one effect`, async () => {
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
      await Promise.all([survivor.close(), restarted.close()]);
    });
  }

  test('a survivor asked again at once answers only when every replica has it', async () => {
    const survivor = await subject.open({}, CLOCK_WITHOUT_CHECKS);
    await deposit(survivor, 'dave', 1, { requestId: 'before' }); // nothing is left for recovery to do
    const { replicas, folder } = subject;
    const orders = { replicas, folder, account: 'dave', prefix: 'k', deposits: 1, atOnce: 1 };
    assert.equal(await new StoreProcess({ ...orders, dieAt: 'leaderCommitted' }).ended(), 'SIGKILL');
    assert.equal((await deposit(survivor, 'dave', 1, { requestId: 'k-0' })).replayed, true);
    for (const rows of await subject.inspect('SELECT request_id FROM tl_log')) assert.equal(rows.length, 2);
    await assertInStep(subject);
    await survivor.close();
  });

  test('a killed follower: writes fail honestly, reads go on, and all is level when it is back', async () => {
    const store = await subject.open();
    await deposit(store, 'bob', 1);
    await follower.kill();
    await assert.rejects(deposit(store, 'bob', 1, { requestId: 'down' }), rejectsWith('STORE_UNAVAILABLE'));
    assert.deepEqual(await balanceOf(store, 'bob'), [{ balance: 1 }]);
    await follower.start();
    await retried(store, 'bob', 'down');
    assert.deepEqual(await balanceOf(store, 'bob'), [{ balance: 2 }]);
    await assertInStep(subject);
    await eventually('both replicas are healthy', () => store.status().every(({ healthy }) => healthy));
    await store.close();
  });

  for (const [name, killed] of [
    ['leader', () => leader],
    ['follower', () => follower],
  ] as const) {
    for (const step of ['followersPrepared', 'leaderCommitted'] as const) {
      test(`the ${name}'s database killed at ${step}: the same request id again has one effect`, async () => {
        let down: Promise<void> | undefined;
        const hook = (): void => {
          down ??= killed().kill();
        };
        const store = await subject.open({ [step]: () => armed && hook() });
        let armed = false;
        await deposit(store, 'carol', 5, { requestId: 'first' });
        armed = true;
        const result = await deposit(store, 'carol', 1, { requestId: 'cut' }).catch((thrown: unknown) => thrown);
        if (result instanceof Error)
          assert.ok(/OUTCOME_UNKNOWN|STORE_UNAVAILABLE/.test(result.message), result.message);
        armed = false;
        await down;
        await killed().start();
        await retried(store, 'carol', 'cut');
        assert.deepEqual(await balanceOf(store, 'carol'), [{ balance: 6 }]);
        await assertInStep(subject);
        await store.close();
      });
    }
  }

  test('prepared transactions of others on the same server are left alone', async () => {
    const others = ["'g1:1:m1:5-abc@0123456789ab','',5524558", "'g1:1:m1:5-abc','',1", "'g2:1:m1:5-abc','',5524558"];
    for (const xid of others) await prepareElsewhere(follower, xid);
    const store = await subject.open();
    await deposit(store, 'dave', 1);
    await store.close();
    assert.equal((await follower.query('XA RECOVER')).length, others.length);
    for (const xid of others) await follower.query(`XA ROLLBACK ${xid}`);
  });

  async function retried(store: ReplicatedStore, account: string, requestId: string): Promise<void> {
    await eventually(
      'the write goes through',
      () => deposit(store, account, 1, { requestId }).catch(() => undefined),
      15_000,
    );
  }
});

function balanceOf(store: ReplicatedStore, account: string): Promise<unknown> {
  return store.read('SELECT balance FROM accounts WHERE account = ?', [account], inMs(5_000));
}

async function prepareElsewhere(server: Mariadb, xid: string): Promise<void> {
  await server.query('CREATE TABLE IF NOT EXISTS other.t (id INT)').catch(async () => {
    await server.query('CREATE DATABASE IF NOT EXISTS other');
    await server.query('CREATE TABLE IF NOT EXISTS other.t (id INT)');
  });
  await server.script([`XA START ${xid}`, 'INSERT INTO other.t VALUES (1)', `XA END ${xid}`, `XA PREPARE ${xid}`]);
}
