import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accountsSql, mariadbArguments } from '../../../../deploy/local-cluster/mariadb-options.ts';
import type { MysqlReplicaConfig } from '../../../../shared/config/cluster-schema.ts';

const REPLICA: MysqlReplicaConfig = {
  id: 'g1r1',
  kind: 'mysql',
  address: '127.0.0.1:7401',
  database: 'trunkline_g1',
  writer: { user: 'writer', password: { file: 'w' } },
  reader: { user: 'reader', password: { file: 'r' } },
  writerConnections: 4,
  readerConnections: 8,
};

test('the writer gets its own database and no more, the reader may only read it', () => {
  assert.deepEqual(accountsSql(REPLICA, 'one', 'two').trimEnd().split('\n'), [
    'CREATE DATABASE IF NOT EXISTS trunkline_g1 CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;',
    "CREATE USER IF NOT EXISTS 'writer'@'127.0.0.1';",
    "ALTER USER 'writer'@'127.0.0.1' IDENTIFIED BY 'one';",
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON trunkline_g1.* TO 'writer'@'127.0.0.1';",
    "CREATE USER IF NOT EXISTS 'reader'@'127.0.0.1';",
    "ALTER USER 'reader'@'127.0.0.1' IDENTIFIED BY 'two';",
    "GRANT SELECT ON trunkline_g1.* TO 'reader'@'127.0.0.1';",
  ]);
});

test('one account for both is made once', () => {
  const { reader: _none, ...alone } = REPLICA;
  assert.doesNotMatch(accountsSql(alone, 'one', 'one'), /GRANT SELECT ON/);
});

test('a password with quotes and backslashes stays inside its quotes', () => {
  assert.match(accountsSql(REPLICA, "it's \\'; DROP", 'x'), /IDENTIFIED BY 'it''s \\\\''; DROP';/);
});

test('it listens on loopback only, without a binary log, and flushes every commit', () => {
  const args = mariadbArguments(REPLICA, { folder: '/d', logFile: '/l', accountsFile: '/a' });
  for (const wanted of [
    '--no-defaults',
    '--datadir=/d/data',
    '--bind-address=127.0.0.1',
    '--port=7401',
    '--skip-log-bin',
    '--innodb-flush-log-at-trx-commit=1',
  ])
    assert.ok(args.includes(wanted), wanted);
});
