import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { newScore, noteRead, noteReadFailed, pickReplica, type ReplicaScore } from '../../../db/replica-picker.ts';

const NO_PROBE = 0.99;

function scores(...changes: Partial<ReplicaScore>[]): ReplicaScore[] {
  return changes.map((change) => ({ ...newScore(), inStep: true, ...change }));
}

describe('the picker of replicas', () => {
  test('takes the one with the lowest latency times reads under way', () => {
    assert.equal(pickReplica(scores({ latencyMs: 2 }, { latencyMs: 1 }), 0, NO_PROBE, []), 1);
    assert.equal(pickReplica(scores({ latencyMs: 2 }, { latencyMs: 1, inFlight: 2 }), 0, NO_PROBE, []), 0);
  });

  test('never takes one that is not in step, or that this read has tried', () => {
    assert.equal(pickReplica(scores({ inStep: false }, { latencyMs: 50 }), 0, NO_PROBE, []), 1);
    assert.equal(pickReplica(scores({ inStep: false }, {}), 0, NO_PROBE, [1]), -1);
    assert.equal(pickReplica([], 0, NO_PROBE, []), -1);
  });

  test('avoids one that failed, longer after each failure, then tries it with one read', () => {
    const [bad, good] = scores({}, { latencyMs: 100 }) as [ReplicaScore, ReplicaScore];
    noteReadFailed(bad, 1_000);
    const first = bad.restsUntilMs - 1_000;
    assert.equal(pickReplica([bad, good], 1_000 + first - 1, NO_PROBE, []), 1);
    assert.equal(pickReplica([bad, good], 1_000 + first, NO_PROBE, []), 0);
    bad.inFlight = 1;
    assert.equal(pickReplica([bad, good], 1_000 + first, NO_PROBE, []), 1);
    noteReadFailed(bad, 2_000);
    assert.ok(bad.restsUntilMs - 2_000 > first);
    noteRead(bad, 1);
    assert.equal(bad.failures, 0);
  });

  test('takes a resting one when there is no other', () => {
    const [bad] = scores({}) as [ReplicaScore];
    noteReadFailed(bad, 0);
    assert.equal(pickReplica([bad], 1, NO_PROBE, []), 0);
  });

  test('now and then tries each of the others', () => {
    const list = scores({ latencyMs: 1 }, { latencyMs: 90 }, { latencyMs: 90 });
    const picked = new Set(Array.from({ length: 300 }, (_, roll) => pickReplica(list, 0, roll / 300, [])));
    assert.deepEqual([...picked].sort(), [0, 1, 2]);
  });

  test('whatever the scores, takes only what may be taken, and something when it can', () => {
    const score = fc.record({
      latencyMs: fc.double({ min: 0.01, max: 1e4, noNaN: true }),
      inFlight: fc.nat(100),
      inStep: fc.boolean(),
      failures: fc.nat(20),
      restsUntilMs: fc.nat(10_000),
    });
    fc.assert(
      fc.property(
        fc.array(score, { maxLength: 8 }),
        fc.nat(10_000),
        fc.double({ min: 0, max: 0.999_999, noNaN: true }),
        fc.array(fc.nat(7)),
        (list, nowMs, dice, tried) => {
          const index = pickReplica(list, nowMs, dice, tried);
          const may = list.map(({ inStep }, at) => inStep && !tried.includes(at));
          assert.equal(index === -1, !may.includes(true));
          if (index !== -1) assert.equal(may[index], true);
        },
      ),
    );
  });
});
