import { after, before, describe } from 'node:test';
import { describeFences } from '../../support/fence-conformance.ts';
import { type Mariadb, mariadbSkipReason, startMariadb } from '../../support/mariadb.ts';
import { MysqlSubject } from '../../support/mysql-subject.ts';
import { describeStore } from '../../support/store-conformance.ts';

const skip = mariadbSkipReason();

describe('on MariaDB', { skip }, () => {
  let server: Mariadb;
  let subject: MysqlSubject;
  before(async () => {
    server = await startMariadb();
    subject = await MysqlSubject.create([
      { server, database: 'g1_a' },
      { server, database: 'g1_b' },
    ]);
  });
  after(async () => {
    await subject?.remove();
    await server?.stop();
  });
  describeStore('MariaDB', () => subject);
  describeFences('MariaDB', () => subject);
});
