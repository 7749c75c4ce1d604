import { doesNotThrow, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkSchema } from '../../../../db/schema/check-schema.ts';
import { rejectsWith } from '../../../support/store-conformance.ts';

describe('a service’s schema', () => {
  test('may make tables and indexes that may exist already', () => {
    doesNotThrow(() =>
      checkSchema([
        'CREATE TABLE IF NOT EXISTS accounts (account VARCHAR(256) PRIMARY KEY, day DATE);',
        '\n create index if not exists by_day on accounts (day)',
        'CREATE UNIQUE INDEX IF NOT EXISTS "x" ON `accounts` (day)',
      ]),
    );
  });

  for (const [statement, why] of [
    ['CREATE TABLE t (a INT)', /IF NOT EXISTS/],
    ['DROP TABLE t', /expected CREATE/],
    ['CREATE TABLE IF NOT EXISTS tl_mine (a INT)', /platform's/],
    ['CREATE INDEX IF NOT EXISTS fine ON tl_log (at)', /platform's/],
    ['CREATE TABLE IF NOT EXISTS t (a INT); DROP TABLE u', /one statement/],
    ['CREATE TABLE IF NOT EXISTS t (a INT AUTO_INCREMENT PRIMARY KEY)', /AUTO_INCREMENT may differ/],
    ['CREATE TABLE IF NOT EXISTS t (a TEXT DEFAULT CURRENT_TIMESTAMP)', /CURRENT_TIMESTAMP may differ/],
  ] as const) {
    test(`is refused: ${statement}`, () => throws(() => checkSchema([statement]), rejectsWith('SERVICE_INVALID', why)));
  }
});
