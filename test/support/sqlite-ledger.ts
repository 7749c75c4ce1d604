/** Looks at the accounts in SQLite replica files directly, as an auditor would, with the cluster stopped. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { bucketOwners } from '../../shared/routing/frames.ts';
import { bucketOfKey } from '../../shared/routing/jdk-hash.ts';

interface AccountRow {
  readonly account: string;
  readonly balance: number;
  readonly sum: number;
  readonly entries: number;
}

/** Fails unless every replica holds exactly the expected balances, each equal to the sum of its entries. */
export function assertLedger(
  config: ClusterConfig,
  expected: ReadonlyMap<string, number>,
  entries: ReadonlyMap<string, number>,
): void {
  const owners = bucketOwners(config);
  for (const [groupIndex, group] of config.groups.entries()) {
    const own = [...expected.keys()]
      .filter((account) => owners[bucketOfKey(account, config.hash.kind, config.hash.buckets)] === groupIndex)
      .sort();
    const wanted = own.map((account) => ({
      account,
      balance: expected.get(account),
      sum: expected.get(account),
      entries: entries.get(account),
    }));
    const logs: string[] = [];
    for (const replica of group.replicas) {
      assert.equal(replica.kind, 'sqlite');
      const database = new DatabaseSync(path.resolve(config.dataFolder, replica.file), { readOnly: true });
      try {
        assert.deepEqual(rowsOf(database), wanted, `accounts of ${replica.id}`);
        logs.push(JSON.stringify(database.prepare('SELECT seq, request_id, reply FROM tl_log ORDER BY seq').all()));
      } finally {
        database.close();
      }
    }
    assert.equal(new Set(logs).size, 1, `the transaction logs of ${group.id} are equal`);
  }
}

function rowsOf(database: DatabaseSync): AccountRow[] {
  const rows = database
    .prepare(
      `SELECT a.account AS account, a.balance AS balance,
              COALESCE(SUM(e.amount), 0) AS sum, COUNT(e.entry_number) AS entries
       FROM accounts a LEFT JOIN account_entries e ON e.account = a.account GROUP BY a.account ORDER BY a.account`,
    )
    .all();
  return rows.map((row) => ({ ...(row as unknown as AccountRow) }));
}
