import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rowOf, type Series } from '../../bench/support/figures.ts';
import { boundText, type Goal, goalText, judge, measuredText } from '../../bench/support/goals.ts';

const series = (contestant: string, requestsPerSecond: readonly number[]): Series => ({
  case: 'c = 64',
  contestant,
  samples: requestsPerSecond.map((value) => ({ requestsPerSecond: value, failures: 1 })),
});

// A machine that gets slower: both lose, and the ratio of each pair stays.
const MEASURED = [series('ours', [3_000, 2_000, 1_000]), series('theirs', [1_000, 800, 500])];
const GOAL: Goal = { case: 'c = 64', figure: 'requestsPerSecond', of: 'ours', against: 'theirs' };

describe('a goal', () => {
  test('compares round by round, and takes the median of the pairs', () => {
    const { measured, lowest, highest } = judge({ ...GOAL, bound: { atLeast: 2 } }, MEASURED);
    assert.deepEqual({ measured, lowest, highest }, { measured: 2.5, lowest: 2, highest: 3 });
  });

  test('is met at its bound, and not met past it', () => {
    const verdict = (bound: Goal['bound']): string =>
      judge(bound === undefined ? GOAL : { ...GOAL, bound }, MEASURED).verdict;
    assert.equal(verdict({ atLeast: 2.5 }), 'met');
    assert.equal(verdict({ atLeast: 2.51 }), 'not met');
    assert.equal(verdict({ atMost: 2.5 }), 'met');
    assert.equal(verdict({ atMost: 2.49 }), 'not met');
    assert.equal(verdict(undefined), 'no goal');
  });

  test('of one figure alone is judged by its median, as the row shows it', () => {
    const goal: Goal = { case: 'c = 64', figure: 'requestsPerSecond', of: 'ours', bound: { atMost: 2_000 } };
    const verdict = judge(goal, MEASURED);
    assert.deepEqual([verdict.measured, verdict.verdict], [2_000, 'met']);
    assert.equal(rowOf(MEASURED[0] as Series).figures.requestsPerSecond, verdict.measured);
  });

  test('whose peer, case or figure is missing was not measured', () => {
    const bound = { atLeast: 0 };
    for (const goal of [
      { ...GOAL, bound, against: 'nobody' },
      { ...GOAL, bound, case: 'c = 1' },
      { ...GOAL, bound, figure: 'p50Micros' },
    ] as const) {
      const verdict = judge(goal, MEASURED);
      assert.deepEqual([verdict.measured, verdict.verdict, measuredText(verdict)], [null, 'not measured', '']);
    }
  });

  test('is told in words', () => {
    const verdict = judge({ ...GOAL, bound: { atLeast: 2 } }, MEASURED);
    assert.equal(goalText(verdict), 'requests/s, ours ÷ theirs');
    assert.equal(boundText(verdict), '≥ 2');
    assert.equal(measuredText(verdict), '2.50 (2.00 … 3.00)');
  });
});

test('a row has the medians, and the sum of the failures', () => {
  assert.deepEqual(rowOf(series('ours', [1, 9, 2])).figures, { requestsPerSecond: 2, failures: 3 });
});
