import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BENCH_DEFAULTS,
  benchArguments,
  ROUNDS_WRITTEN_MIN,
  readBenchOptions,
} from '../../../../deploy/checks/bench-options.ts';

test('what is not said has its default, and what is handed on is read again', () => {
  assert.deepEqual(readBenchOptions([]), BENCH_DEFAULTS);
  const options = readBenchOptions(['--rounds=7', '--minutes', '0.5']);
  assert.deepEqual(options, { ...BENCH_DEFAULTS, rounds: 7, minutes: 0.5 });
  assert.deepEqual(readBenchOptions(benchArguments(options)), options);
});

test('a run of the default length is written down', () => {
  assert.ok(BENCH_DEFAULTS.rounds >= ROUNDS_WRITTEN_MIN);
});

test('other values are refused, saying what was expected', () => {
  for (const args of ['--rounds=0', '--rounds=1.5', '--rounds=x', '--seconds=', '--minutes=0']) {
    assert.throws(() => readBenchOptions([args]), { code: 'USAGE' }, args);
  }
  assert.throws(() => readBenchOptions(['--rounds=x']), /Expected --rounds to be a whole number of 1\.\.101, got x/);
});
