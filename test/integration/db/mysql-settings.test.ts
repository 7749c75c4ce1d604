/** Servers and databases whose settings would break a promise are refused, with the command that mends them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Mariadb, mariadbSkipReason, startMariadb } from '../../support/mariadb.ts';
import { MysqlSubject } from '../../support/mysql-subject.ts';
import { rejectsWith } from '../../support/store-conformance.ts';

describe('settings of a MariaDB replica', { skip: mariadbSkipReason() }, () => {
  let server: Mariadb;
  let subject: MysqlSubject;
  before(async () => {
    server = await startMariadb();
    subject = await MysqlSubject.create([{ server, database: 'g1' }]);
  });
  after(async () => {
    await subject?.remove();
    await server?.stop();
  });

  test('a server that may lose commits in a crash is refused', async () => {
    await server.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2');
    await assert.rejects(subject.open(), rejectsWith('STORE_UNSAFE', /SET GLOBAL innodb_flush_log_at_trx_commit = 1/));
    await server.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
  });

  test('a database that takes different keys for the same is refused', async () => {
    for (const collation of ['utf8mb4_general_ci', 'utf8mb4_bin', 'latin1_bin']) {
      await server.query(`ALTER DATABASE g1 CHARACTER SET ${collation.split('_')[0]} COLLATE ${collation}`);
      await assert.rejects(subject.open(), rejectsWith('STORE_UNSAFE', /ALTER DATABASE g1 .*utf8mb4_nopad_bin/));
    }
    await server.query('ALTER DATABASE g1 CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin');
  });

  test('with the settings mended it opens', async () => {
    const store = await subject.open();
    assert.equal(store.status()[0]?.healthy, true);
    await store.close();
  });

  test('a server that is not there is an error that names it', async () => {
    await server.kill();
    await assert.rejects(subject.open(), rejectsWith('STORE_UNAVAILABLE', new RegExp(`127.0.0.1:${server.port}/g1`)));
  });
});
