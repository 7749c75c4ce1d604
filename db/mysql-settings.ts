/** Refuses a server whose settings would break a promise, and names the command that mends each. */
import { PlatformError } from '../shared/errors.ts';
import type { MysqlConnection } from './mysql-connection.ts';
import type { Row } from './replica.ts';

/** Exact comparison, trailing spaces included: `_bin` alone would take 'a' and 'a ' for one key. */
const COLLATIONS = { mariadb: 'utf8mb4_nopad_bin', mysql: 'utf8mb4_0900_bin' };

const FACTS_SQL = `SELECT VERSION() AS version, @@innodb_flush_log_at_trx_commit AS flush, @@log_bin AS binlog,
  @@default_storage_engine AS engine, @@collation_database AS collation, DATABASE() AS name, CURRENT_USER() AS account`;

/** @returns warnings. @throws PlatformError STORE_UNSAFE */
export async function checkSettings(connection: MysqlConnection, replicaId: string): Promise<string[]> {
  const facts: Row = (await connection.text(FACTS_SQL)).rows[0] ?? {};
  const version = String(facts['version']);
  const isMariadb = /mariadb/i.test(version);
  checkVersion(replicaId, version, isMariadb);
  if (Number(facts['flush']) !== 1) {
    throw unsafe(
      replicaId,
      `innodb_flush_log_at_trx_commit is ${facts['flush']}, so a crash may lose commits`,
      'SET GLOBAL innodb_flush_log_at_trx_commit = 1; (and in my.cnf)',
    );
  }
  if (facts['engine'] !== 'InnoDB') {
    throw unsafe(
      replicaId,
      `default_storage_engine is ${facts['engine']}`,
      'SET GLOBAL default_storage_engine = InnoDB; (and in my.cnf)',
    );
  }
  const expected = isMariadb ? COLLATIONS.mariadb : COLLATIONS.mysql;
  if (facts['collation'] !== expected) {
    throw unsafe(
      replicaId,
      `the database's collation is ${facts['collation']}, which takes different keys for the same`,
      `ALTER DATABASE ${facts['name']} CHARACTER SET utf8mb4 COLLATE ${expected}; (and convert the tables it has)`,
    );
  }
  await checkIsolation(connection, replicaId);
  await checkRecover(connection, replicaId, String(facts['account']));
  if (Number(facts['binlog']) === 0) return [];
  return [
    'the binary log is on: a crash of this server may lose prepared transactions; run replicas with skip-log-bin',
  ];
}

function checkVersion(replicaId: string, version: string, isMariadb: boolean): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const good = isMariadb ? major > 10 || (major === 10 && minor >= 6) : major >= 8;
  if (!good) throw unsafe(replicaId, `the server is ${version}`, 'upgrade it to MariaDB 10.6 or MySQL 8.0 or later');
}

async function checkIsolation(connection: MysqlConnection, replicaId: string): Promise<void> {
  const { rows } = await connection.text(
    "SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')",
  );
  const found = rows.map((row) => String(row['Value']));
  if (found.every((value) => value === 'REPEATABLE-READ') && found.length > 0) return;
  throw unsafe(
    replicaId,
    `the isolation level is ${found.join(', ')}`,
    'SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ; (and in my.cnf)',
  );
}

async function checkRecover(connection: MysqlConnection, replicaId: string, account: string): Promise<void> {
  try {
    await connection.text('XA RECOVER');
  } catch (thrown) {
    if (thrown instanceof PlatformError && thrown.code !== 'STATEMENT_FAILED') throw thrown;
    const [user, host] = account.split('@');
    throw unsafe(
      replicaId,
      'the writer may not see prepared transactions',
      `GRANT XA_RECOVER_ADMIN ON *.* TO '${user}'@'${host}';`,
    );
  }
}

function unsafe(replicaId: string, found: string, command: string): PlatformError {
  return new PlatformError('STORE_UNSAFE', `replica ${replicaId}: ${found}. Run: ${command}`);
}
