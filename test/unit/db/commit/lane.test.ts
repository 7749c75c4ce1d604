import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { WriteTransaction } from '../../../../db/commit/handler-transaction.ts';
import { Lane, type WriteOutcome } from '../../../../db/commit/lane.ts';
import { BATCH_REQUESTS_MAX, CALLBACK_MS_MAX, LANE_DEPTH_MAX, WRITE_ATTEMPTS_MAX } from '../../../../db/limits.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { seededRandom } from '../../../../shared/random.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { rejectsWith } from '../../../support/store-conformance.ts';

const BUSY = new PlatformError('STORE_BUSY', 'busy');

describe('a lane', () => {
  let engine: FakeEngine;
  let clock: ManualClock;
  let lane: Lane;
  beforeEach(() => {
    engine = new FakeEngine();
    clock = new ManualClock();
    lane = new Lane(engine, clock, seededRandom(1));
  });
  const write = (
    requestId: string,
    run: (tx: WriteTransaction) => Promise<unknown> = async () => requestId,
    options: { fingerprint?: string; timeoutMs?: number } = {},
  ): Promise<WriteOutcome<unknown>> => {
    const { fingerprint = 'f', timeoutMs = 60_000 } = options;
    return lane.write(
      { requestId, fingerprint, account: 'a', bucket: 1, deadlineAtMs: clock.nowMs() + timeoutMs },
      run,
    );
  };
  const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `q${index}`);

  test('commits the writes of one tick together, in order, as many as a batch holds', async () => {
    const names = ids(BATCH_REQUESTS_MAX + 10);
    const outcomes = await Promise.all(names.map((name) => write(name)));
    assert.deepEqual(
      outcomes.map(({ value }) => value),
      names,
    );
    assert.deepEqual(engine.committed, [names.slice(0, BATCH_REQUESTS_MAX), names.slice(BATCH_REQUESTS_MAX)]);
  });

  test('runs callbacks one after another', async () => {
    let running = 0;
    await Promise.all(
      ids(5).map((name) =>
        write(name, async (tx) => {
          running += 1;
          assert.equal(running, 1);
          await tx.query('SELECT 1');
          running -= 1;
        }),
      ),
    );
  });

  test('puts two of one request id into different batches, so that the second is answered from the log', async () => {
    const [first, second, other] = await Promise.all([write('same'), write('same'), write('other')]);
    assert.deepEqual(engine.begun, [['same', 'other'], ['same']]);
    assert.deepEqual([first?.replayed, second?.replayed, other?.replayed], [false, true, false]);
    assert.equal(second?.value, 'same');
  });

  test('a logged id with another fingerprint is refused and its callback does not run', async () => {
    await write('same');
    const second = write('same', () => assert.fail('it ran'), { fingerprint: 'other' });
    await assert.rejects(second, rejectsWith('IDEMPOTENCY_KEY_REUSED'));
  });

  test('waits on while another holds the lock, until the deadline', async () => {
    engine.beginFailures.push(BUSY, BUSY);
    assert.equal((await write('patient')).replayed, false);
    assert.equal(engine.begun.length, 3);
    engine.beginFailures.push(BUSY);
    const late = write('late', undefined, { timeoutMs: 100 });
    clock.advance(100);
    await assert.rejects(late, rejectsWith('DEADLINE_EXCEEDED', /no effect/));
  });

  test('a store that is not there fails every write of the batch at once', async () => {
    engine.beginFailures.push(new PlatformError('STORE_UNAVAILABLE', 'gone'));
    for (const result of await Promise.allSettled(ids(3).map((name) => write(name)))) {
      assert.ok(rejectsWith('STORE_UNAVAILABLE')((result as PromiseRejectedResult).reason));
    }
  });

  test('a batch that rolled back as busy is run again, each request alone', async () => {
    engine.outcomes.push({ kind: 'rolled-back', error: BUSY });
    await Promise.all(ids(3).map((name) => write(name)));
    assert.deepEqual(engine.committed, [['q0'], ['q1'], ['q2']]);
  });

  test('a replica that differs fails the request to blame, and no other', async () => {
    const error = new PlatformError('REPLICAS_DIVERGED', 'other rows');
    engine.outcomes.push({ kind: 'rolled-back', error }, { kind: 'committed' }, { kind: 'rolled-back', error });
    const results = await Promise.allSettled(ids(3).map((name) => write(name)));
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  test('an unknown outcome is said to be unknown, and nothing is run again', async () => {
    const error = new PlatformError('OUTCOME_UNKNOWN', 'who knows');
    engine.outcomes.push({ kind: 'unknown', error });
    await assert.rejects(write('q'), rejectsWith('OUTCOME_UNKNOWN'));
    assert.equal(engine.begun.length, 1);
  });

  test('a deadlock costs its request another try, and the batch is run again', async () => {
    let tries = 0;
    engine.failing.set('DELETE FROM hot', { error: BUSY, lost: true });
    const hot = write('hot', async (tx) => {
      tries += 1;
      if (tries === 3) engine.failing.clear();
      await tx.execute('DELETE FROM hot');
    });
    await Promise.all([write('before'), hot, write('behind')]);
    assert.equal(tries, 3);
    assert.deepEqual(engine.committed.flat().sort(), ['before', 'behind', 'hot']);
  });

  test('gives up a request that deadlocks for ever', async () => {
    engine.failing.set('DELETE FROM hot', { error: BUSY, lost: true });
    await assert.rejects(
      write('hot', (tx) => tx.execute('DELETE FROM hot')),
      rejectsWith('STORE_BUSY'),
    );
    assert.equal(engine.begun.length, WRITE_ATTEMPTS_MAX);
  });

  test('a callback that takes too long leaves with STORE_BUSY, and the others go on', async () => {
    let started = false;
    const slow = write('slow', () => {
      started = true;
      return new Promise(() => undefined);
    });
    const quick = write('quick');
    const refused = assert.rejects(slow, rejectsWith('STORE_BUSY', /slow work before/));
    while (!started) await new Promise((resolve) => clock.atEndOfTick(() => resolve(undefined)));
    clock.advance(CALLBACK_MS_MAX);
    await refused;
    assert.equal((await quick).replayed, false);
    assert.equal(clock.pendingTimers, 0);
  });

  test('a value that is not JSON, or too much of it, is refused', async () => {
    await assert.rejects(
      write('fn', async () => () => 1),
      rejectsWith('REPLY_INVALID'),
    );
    await assert.rejects(
      write('big', async () => 'x'.repeat(2_000_000)),
      rejectsWith('REPLY_TOO_LARGE'),
    );
    assert.deepEqual(await write('none', async () => undefined), { value: null, replayed: false });
  });

  test('refuses more than its depth, and answers every write it took', async () => {
    const names = ids(LANE_DEPTH_MAX + 1);
    const results = await Promise.allSettled(names.map((name) => write(name)));
    assert.equal(results.filter(({ status }) => status === 'rejected').length, 1);
    assert.ok(rejectsWith('STORE_BUSY')((results.at(-1) as PromiseRejectedResult).reason));
    await lane.idle();
    assert.equal(lane.depth, 0);
  });
});
