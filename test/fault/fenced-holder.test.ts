/**
 * The holder of a lock is stopped beyond its lease and goes on, believing still: another one has the lock by then and has
 * written, and what the first one writes with its old token is refused by the database, on every replica. With real
 * processes, a real coordinator, and replicas of SQLite and of MariaDB.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { LockHolder } from '../support/history/lock-holder.ts';
import { fenceComplaints } from '../support/history/lock-record.ts';
import { TrialCoordinators } from '../support/history/trial-coordinators.ts';
import { type Mariadb, mariadbSkipReason, startMariadb } from '../support/mariadb.ts';
import { MysqlSubject } from '../support/mysql-subject.ts';
import { lengthOf } from '../support/soak.ts';
import { SqliteSubject } from '../support/sqlite-subject.ts';
import { assertInStep, type StoreUnderTest } from '../support/store-conformance.ts';

const ROUNDS = lengthOf(2, 60);
const WRITES = 3;

interface Subject extends StoreUnderTest {
  readonly replicas: readonly ReplicaConfig[];
  readonly folder: string;
}

/** Tokens of what was written, in the order in which it took effect. */
async function tokensOf(subject: Subject): Promise<number[]> {
  const [rows] = await subject.inspect(
    "SELECT t.whole AS token FROM tl_log l JOIN things t ON t.name = l.request_id WHERE l.account = 'fenced' ORDER BY l.seq",
  );
  return (rows ?? []).map((row) => Number(row['token']));
}

function describeHolders(subject: () => Subject): void {
  let set: TrialCoordinators;
  let holders: [LockHolder, LockHolder];

  before(async () => {
    await (await subject().open()).close(); // makes the tables
    set = await TrialCoordinators.start({ count: 1 });
    const { replicas, folder } = subject();
    const start = (name: string): LockHolder =>
      new LockHolder({ name, config: set.config, token: set.token, replicas, folder });
    holders = [start('first'), start('second')];
  });

  after(async () => {
    for (const holder of holders ?? []) await holder.kill();
    await set?.close();
  });

  test(`one that was stopped beyond its lease writes nothing any more, ${ROUNDS} times`, async (context) => {
    let refusals = 0;
    const [one, two] = holders;
    for (let round = 0; round < ROUNDS; round++) refusals += await stopHolder(one, two, subject());
    context.diagnostic(`${refusals} writes of former holders refused`);
  });
}

/** @returns how many of its writes were refused */
async function stopHolder(one: LockHolder, two: LockHolder, subject: Subject): Promise<number> {
  const [holder, other] = await holding(one, two);
  await holder.stopBetweenWrites();
  const [, old] = holder.said('holds').at(-1) as string[];
  const refused = holder.said('refused').length;
  const [, token] = await other.untilSaid('holds', other.said('holds').length);
  const wrote = other.said('wrote').length;
  await other.untilSaid('wrote', wrote + WRITES);
  const before = await tokensOf(subject);
  assert.ok(Number(token) > Number(old), `token ${token} after ${old}`);
  holder.goOn();
  const [, refusedToken] = await holder.untilSaid('refused', refused);
  assert.equal(refusedToken, old);
  await other.untilSaid('wrote', other.said('wrote').length); // which goes on
  const after = await tokensOf(subject);
  const written = after.slice(before.length);
  assert.ok(!written.includes(Number(old)), `${old} wrote after it was refused`);
  assert.deepEqual(fenceComplaints(after), []);
  for (const rows of await subject.inspect(`SELECT COUNT(*) AS rows_of FROM things WHERE whole = ${old}`))
    assert.equal(Number(rows[0]?.['rows_of']), before.filter((one) => one === Number(old)).length);
  return holder.said('refused').length - refused;
}

/** Who of two holds the lock, first. */
async function holding(one: LockHolder, two: LockHolder): Promise<[LockHolder, LockHolder]> {
  const [before, beforeTwo] = [one.said('wrote').length, two.said('wrote').length];
  return await Promise.any([
    one.untilSaid('wrote', before).then((): [LockHolder, LockHolder] => [one, two]),
    two.untilSaid('wrote', beforeTwo).then((): [LockHolder, LockHolder] => [two, one]),
  ]);
}

describe('a holder that was stopped, on SQLite', () => {
  let subject: SqliteSubject;
  before(async () => {
    subject = await SqliteSubject.create(2);
  });
  describeHolders(() => subject);
  test('all replicas are equal', () => assertInStep(subject));
  after(() => subject?.remove());
});

describe('a holder that was stopped, on MariaDB', { skip: mariadbSkipReason() }, () => {
  let server: Mariadb;
  let subject: MysqlSubject;
  before(async () => {
    server = await startMariadb();
    const places = ['g1_a', 'g1_b'].map((database) => ({ server, database }));
    subject = await MysqlSubject.create(places);
  });
  describeHolders(() => subject);
  test('all replicas are equal', () => assertInStep(subject));
  after(async () => {
    await subject?.remove();
    await server?.stop();
  });
});
