import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statementKind } from '../../../../db/commit/statement-rules.ts';
import { rejectsWith } from '../../../support/store-conformance.ts';

const READS = [
  'SELECT 1',
  '  select *\nfrom t;',
  'WITH x AS (SELECT 1 AS a) SELECT REPLACE(a, 1, 2) FROM x',
  "SELECT ';' AS a -- COMMIT; \n",
  '/* DELETE */ SELECT 1',
];
const WRITES = [
  'INSERT INTO t VALUES (?)',
  'update t set a = 1',
  "DELETE FROM t WHERE a = 'NOW()' -- RANDOM()",
  'REPLACE INTO t VALUES (1)',
  'DELETE FROM t WHERE known = 1 ORDER BY a LIMIT 5',
  'INSERT INTO t ("current_timestamp", renow) VALUES (1, 2)',
];
const REFUSED: readonly (readonly [sql: string, why: RegExp])[] = [
  ['', /no SQL word/],
  ['SELECT 1; DELETE FROM t', /several/],
  ['BEGIN', /BEGIN/],
  ['ROLLBACK TO tl_request', /ROLLBACK/],
  ['PRAGMA synchronous = OFF', /PRAGMA/],
  ['ATTACH ? AS other', /ATTACH/],
  ['DROP TABLE t', /schema/],
  ['WITH x AS (SELECT 1) DELETE FROM t', /WITH is for reading/],
  ['UPDATE t SET a = random()', /random may differ.*tx\.random/],
  ['INSERT INTO t VALUES (NOW ())', /NOW may differ/],
  ['UPDATE t SET a = CURRENT_TIMESTAMP', /CURRENT_TIMESTAMP/],
  ['UPDATE t SET a = @x', /@ may differ/],
  ['SELECT 1 /*! ; DROP TABLE t */', /comment/],
  ['UPDATE t SET a = 1 --RANDOM()', /RANDOM/],
  ['DELETE FROM t LIMIT 5', /LIMIT without ORDER BY/],
];

describe('statement rules', () => {
  for (const sql of READS) test(`reads: ${sql}`, () => assert.equal(statementKind(sql), 'read'));
  for (const sql of WRITES) test(`writes: ${sql}`, () => assert.equal(statementKind(sql), 'write'));
  for (const [sql, why] of REFUSED) {
    test(`refuses: ${sql}`, () => assert.throws(() => statementKind(sql), rejectsWith('STATEMENT_FAILED', why)));
  }

  test('says the same the second time', () => {
    assert.throws(() => statementKind('COMMIT'), rejectsWith('STATEMENT_FAILED'));
    assert.throws(() => statementKind('COMMIT'), rejectsWith('STATEMENT_FAILED'));
  });
});
