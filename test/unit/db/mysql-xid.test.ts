import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leaderConnectionOf, xaName, xidOfRecovered } from '../../../db/mysql-xid.ts';

const LONGEST = `${'g'.repeat(32)}:4294967295:${'r'.repeat(32)}:18446744073709551615-${'a'.repeat(16)}`;

function recovered(xid: string, database: string): Record<string, unknown> {
  const match = /^'(.*)','(.*)',(\d+)$/.exec(xaName(xid, database));
  assert.ok(match !== null);
  const [, one = '', two = '', formatID] = match;
  return { formatID: Number(formatID), gtrid_length: one.length, bqual_length: two.length, data: one + two };
}

describe('names of prepared transactions', () => {
  test('come back from XA RECOVER, the longest too, in parts of at most 64 bytes', () => {
    for (const xid of ['g1:1:m1:42-00ff', LONGEST]) {
      const row = recovered(xid, 'db');
      assert.ok(Number(row['gtrid_length']) <= 64 && Number(row['bqual_length']) <= 64);
      assert.equal(xidOfRecovered(row, xid.split(':')[0] ?? '', 'db'), xid);
    }
  });

  test('of another group, another database or another program are not ours', () => {
    const row = recovered('g1:1:m1:42-00ff', 'db');
    assert.equal(xidOfRecovered(row, 'g2', 'db'), undefined);
    assert.equal(xidOfRecovered(row, 'g1', 'other'), undefined);
    assert.equal(xidOfRecovered({ ...row, formatID: 1 }, 'g1', 'db'), undefined);
    assert.equal(xidOfRecovered({ ...row, data: 'g1:whatever' }, 'g1', 'db'), undefined);
  });

  test('name the connection that decides', () => {
    assert.equal(leaderConnectionOf('g1:1:m1:42-00ff'), 42);
  });

  test('that are not of the form never reach a statement', () => {
    assert.throws(() => xaName("g1:1:m1:42-00ff'; DROP DATABASE x; --", 'db'));
  });
});
