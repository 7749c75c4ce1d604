import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Fence, passFence, requireFence } from '../../../../db/commit/fence.ts';
import { Lane } from '../../../../db/commit/lane.ts';
import { FENCE_NAME_CHARS_MAX, WRITE_ATTEMPTS_MAX } from '../../../../db/limits.ts';
import type { Row } from '../../../../db/replica.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { seededRandom } from '../../../../shared/random.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { rejectsWith } from '../../../support/store-conformance.ts';

/** Passes a fence where `rows` is what the table holds of its name. @returns the writing statements */
async function passed(rows: readonly Row[], token: number): Promise<readonly (readonly unknown[])[]> {
  const executed: unknown[][] = [];
  const transaction = {
    query: async () => [...rows],
    execute: async (sql: string, params: readonly unknown[]) => {
      executed.push([sql.split(' ')[0], ...params]);
      return 1;
    },
  };
  await passFence(transaction, { name: 'lock', token });
  return executed;
}

describe('a fence', () => {
  test('keeps the first token and every newer one, and writes nothing for the same', async () => {
    assert.deepEqual(await passed([], 4), [['INSERT', 'lock', 4]]);
    assert.deepEqual(await passed([{ token: 4 }], 4), []);
    assert.deepEqual(await passed([{ token: 4 }], 5), [['UPDATE', 5, 'lock', 5]]);
  });

  test('lets no older token pass', async () => {
    await assert.rejects(passed([{ token: 4 }], 3), rejectsWith('FENCE_OUTDATED', /lock of at least 4, 3 came/));
  });

  for (const [name, token] of [
    ['', 1],
    ['y'.repeat(FENCE_NAME_CHARS_MAX + 1), 1],
    ['two words', 1],
    ['é', 1],
    [7, 1],
    ['locks/f', 0],
    ['locks/f', 1.5],
    ['locks/f', Number.NaN],
    ['locks/f', 2 ** 53],
    ['locks/f', '1'],
  ]) {
    test(`refuses the token ${String(token)} (${typeof token}) of "${String(name).slice(0, 9)}"`, () => {
      const fence = { name, token } as Fence;
      assert.throws(() => requireFence(fence), rejectsWith('STATEMENT_FAILED', /expected/));
    });
  }
});

describe('a lane', () => {
  const request = (clock: ManualClock, fence: Fence) => ({
    ...{ requestId: 'q', fingerprint: 'f', account: 'a', bucket: 1, deadlineAtMs: clock.nowMs() + 60_000 },
    fence,
  });

  test('runs a write again whose fence met a deadlock', async () => {
    const engine = new FakeEngine();
    const clock = new ManualClock();
    const lane = new Lane(engine, clock, seededRandom(1));
    const error = new PlatformError('STORE_BUSY', 'deadlock');
    engine.failing.set('SELECT token FROM tl_fence_tokens WHERE name = ?', { error, lost: false });
    const write = lane.write(request(clock, { name: 'lock', token: 1 }), () => assert.fail('it ran'));
    await assert.rejects(write, rejectsWith('STORE_BUSY'));
    assert.equal(engine.begun.length, WRITE_ATTEMPTS_MAX);
  });

  test('begins nothing for a fence that is none', async () => {
    const engine = new FakeEngine();
    const clock = new ManualClock();
    const lane = new Lane(engine, clock, seededRandom(1));
    const write = lane.write(request(clock, { name: 'lock', token: 0 }), () => assert.fail('it ran'));
    await assert.rejects(write, rejectsWith('STATEMENT_FAILED'));
    assert.deepEqual(engine.begun, []);
  });
});
