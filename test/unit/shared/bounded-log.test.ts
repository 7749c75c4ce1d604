import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedLog } from '../../../shared/bounded-log.ts';

test('lines past the bound are dropped, counted, and reported with the next line that is written', () => {
  const bounded = new BoundedLog({ linesMax: 2, periodMs: 1_000 });
  const written = [0, 1, 2, 3].map((nowMs) => bounded.admit(nowMs).write);
  assert.deepEqual(written, [true, true, false, false]);
  assert.deepEqual(bounded.admit(1_000), { write: true, dropped: 2 });
  assert.deepEqual(bounded.admit(1_001), { write: true, dropped: 0 });
});
