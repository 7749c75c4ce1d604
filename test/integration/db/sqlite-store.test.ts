import { after } from 'node:test';
import { describeFences } from '../../support/fence-conformance.ts';
import { SqliteSubject } from '../../support/sqlite-subject.ts';
import { describeStore } from '../../support/store-conformance.ts';

const subject = await SqliteSubject.create(2);
after(() => subject.remove());

describeStore('SQLite', () => subject);
describeFences('SQLite', () => subject);
