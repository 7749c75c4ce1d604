import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verdictOn } from '../../../../deploy/checks/run-checks.ts';
import type { TestTotals } from '../../../../deploy/checks/run-tests.ts';

function totals(some: Partial<TestTotals>): TestTotals {
  return { tests: 3, suites: 0, pass: 3, fail: 0, cancelled: 0, skipped: 0, todo: 0, duration_ms: 1, ...some };
}

test('all passed: nothing to say', () => {
  assert.equal(verdictOn({ totals: totals({}), skipped: [] }, true), '');
});

test('failed and cancelled tests count', () => {
  const verdict = verdictOn({ totals: totals({ pass: 1, fail: 1, cancelled: 1 }), skipped: [] }, false);
  assert.equal(verdict, '2 of 3 tests; they are listed above');
});

test('a run without a test is no success', () => {
  assert.equal(verdictOn({ totals: totals({ tests: 0, pass: 0 }), skipped: [] }, false), 'no test ran');
});

test('a skipped test is a failure only where none may be skipped, and is named', () => {
  const run = { totals: totals({ pass: 2, skipped: 1 }), skipped: ['a.test.ts: b (no MariaDB)'] };
  assert.equal(verdictOn(run, false), '');
  assert.match(verdictOn(run, true), /1 tests were skipped.*\n {2}a\.test\.ts: b \(no MariaDB\)/);
});
