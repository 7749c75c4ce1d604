import { after } from 'node:test';
import { SqliteSubject } from '../../support/sqlite-subject.ts';
import { describeStore } from '../../support/store-conformance.ts';

const subject = await SqliteSubject.create(2);
after(() => subject.remove());

describeStore('SQLite', () => subject);
