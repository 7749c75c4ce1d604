/** What reads SQL of services, log rows of replicas and names of prepared transactions. */
import assert from 'node:assert/strict';
import { checkServiceSchema } from '../../../app-server/sdk/service-schema.ts';
import { statementKind } from '../../../db/commit/statement-rules.ts';
import { headOfRow, logEntryOfRow, statementsOfText, statementsToText } from '../../../db/commit/transaction-log.ts';
import { leaderConnectionOf, xaName, xidOfRecovered } from '../../../db/mysql-xid.ts';
import type { Row } from '../../../db/replica.ts';
import { checkSchema } from '../../../db/schema/check-schema.ts';
import { parserTest } from '../../support/parser-property.ts';

const STATEMENTS = statementsToText([
  { sql: 'UPDATE a SET b = ? WHERE c = ?', params: [5, 'x'], changes: 1 },
  { sql: 'DELETE FROM a', params: [null, -0, 2n ** 60n, Uint8Array.of(1, 2)], changes: 0 },
]);

parserTest('the statements of a log row', {
  samples: [STATEMENTS, '[]'],
  refusals: ['REPLICAS_DIVERGED'],
  parse(input) {
    const statements = statementsOfText(input.toString());
    for (const { sql, params, changes } of statements) {
      assert.equal(typeof sql, 'string');
      assert.ok(Number.isSafeInteger(changes));
      for (const value of params) assert.ok(value === null || value instanceof Uint8Array || typeof value !== 'object');
    }
    const text = statementsToText(statements);
    assert.equal(statementsToText(statementsOfText(text)), text);
    return true;
  },
});

/** As databases give it: each value a number, a bigint, text, bytes or null. */
function rowOf(input: Buffer): Row {
  const [seq = '', xid = '', request = '', account = '', at = ''] = input.toString().split('|');
  return {
    seq: /^\d{1,15}$/.test(seq) ? BigInt(seq) : seq,
    xid,
    request_id: request === '' ? null : request,
    epoch: 1,
    account,
    bucket: seq.length,
    fingerprint: '',
    statements: STATEMENTS,
    reply: at,
    at: Number(at),
  };
}

parserTest('a log row', {
  samples: ['7|g1:1:r1:5-ab|q|alice|1700000000000', '9|x|k:ab|東京|5'],
  parse(input) {
    const row = rowOf(input);
    const entry = logEntryOfRow(row);
    assert.deepEqual([typeof entry.requestId, typeof entry.seq, entry.statements.length], ['string', 'number', 2]);
    assert.deepEqual(headOfRow(row), { seq: entry.seq, xid: entry.xid, requestId: entry.requestId });
    return true;
  },
});

parserTest('a statement', {
  samples: [
    'SELECT a, b FROM c WHERE d = ? -- why\n',
    "INSERT INTO a VALUES (?, 'it''s', \"x\", `y`)",
    'UPDATE a SET b = b + 1 WHERE c IN (?, ?) ORDER BY d LIMIT 1',
    'WITH x AS (SELECT 1) SELECT * FROM x; /* end */',
  ],
  refusals: ['STATEMENT_FAILED'],
  parse(input) {
    assert.match(statementKind(input.toString()), /^(read|write)$/);
    return true;
  },
});

const TABLE = 'CREATE TABLE IF NOT EXISTS notes (account VARCHAR(256) NOT NULL PRIMARY KEY, words VARCHAR(200))';

parserTest('the schema of a service', {
  samples: [TABLE, `${TABLE}|CREATE UNIQUE INDEX IF NOT EXISTS by_words ON notes (words)`],
  refusals: ['SERVICE_INVALID'],
  parse(input) {
    const schema = input.toString().split('|');
    const tables = checkServiceSchema('test', schema);
    for (const name of tables) assert.match(name, /^[a-z][a-z0-9_]{0,47}$/);
    checkSchema(schema);
    return true;
  },
});

parserTest('the name of a prepared transaction', {
  samples: ['g1:1:m1:42-00ff', `g1:4294967295:${'r'.repeat(32)}:18446744073709551615-${'a'.repeat(16)}`],
  parse(input) {
    const xid = input.toString('latin1');
    let name: string;
    try {
      name = xaName(xid, 'db');
    } catch (thrown) {
      assert.match((thrown as Error).message, /^not a transaction name: /);
      return false;
    }
    const [, one = '', two = '', formatID] = /^'([a-z0-9:@-]*)','([a-z0-9:@-]*)',(\d+)$/.exec(name) ?? [];
    assert.notEqual(formatID, undefined, `expected nothing but a name in ${name}`);
    const row = { formatID: Number(formatID), data: one + two };
    assert.equal(xidOfRecovered(row, xid.split(':')[0] as string, 'db'), xid);
    assert.ok(leaderConnectionOf(xid) >= 0);
    return true;
  },
});

parserTest('a transaction found prepared', {
  samples: ['g1:1:m1:42-00ff'].map((xid) => {
    const [, one = '', two = ''] = /^'(.*)','(.*)',/.exec(xaName(xid, 'db')) ?? [];
    return one + two;
  }),
  parse(input) {
    const data = input.toString('latin1');
    const xid = xidOfRecovered({ formatID: 0x544c4e, data }, 'g1', 'db');
    if (xid === undefined) return false;
    assert.ok(data.startsWith(`${xid}@`) && xid.startsWith('g1:'));
    return true;
  },
});
