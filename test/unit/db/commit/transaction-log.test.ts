import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  LOG_COLUMNS,
  logEntryOfRow,
  logRowValues,
  statementsOfText,
  statementsToText,
} from '../../../../db/commit/transaction-log.ts';

const value = fc.oneof(
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array(bytes)),
);
const statements = fc.array(
  fc.record(
    { sql: fc.string(), params: fc.array(value, { maxLength: 5 }), changes: fc.nat() },
    { noNullPrototype: true },
  ),
  { maxLength: 4 },
);

describe('the text of a log entry', () => {
  test('gives back every statement and parameter, to the sign of a zero', () => {
    fc.assert(fc.property(statements, (list) => assert.deepEqual(statementsOfText(statementsToText(list)), list)));
  });

  test('a row gives back its entry', () => {
    fc.assert(
      fc.property(statements, fc.nat(), (list, seq) => {
        const entry = {
          seq,
          xid: 'g:1:r:5-ab',
          requestId: 'q',
          epoch: 1,
          account: 'ä',
          bucket: 7,
          fingerprint: 'f',
          statements: list,
          reply: '{"a":1}',
          atMs: 1_700_000_000_000,
        };
        const values = logRowValues(entry, seq);
        const row = Object.fromEntries(LOG_COLUMNS.split(', ').map((column, index) => [column, values[index] ?? null]));
        assert.deepEqual(logEntryOfRow(row), entry);
      }),
    );
  });

  test('a parameter of an unknown form is refused, not guessed', () => {
    assert.throws(() => statementsOfText('[["DELETE FROM t", [{"date":"2020"}], 1]]'), /does not know/);
  });
});
