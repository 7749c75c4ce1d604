import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { LOG_KEEP_ENTRIES, LOG_KEEP_MS } from '../../../db/limits.ts';
import { systemClock } from '../../../shared/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { SqliteSubject } from '../../support/sqlite-subject.ts';
import { deposit } from '../../support/store-conformance.ts';

describe('the bound of the log', async () => {
  const subject = await SqliteSubject.create(2);
  after(() => subject.remove());

  test('what is old and far behind the newest goes, in pieces, on every replica; the rest stays', async () => {
    await (await subject.open()).close();
    const oldMs = systemClock.wallMs() - LOG_KEEP_MS - 60_000;
    const row = (seq: string, atMs: number): string =>
      `SELECT ${seq}, 'x', 'q' || ${seq}, 1, 'a', 1, 'f', '[]', 'null', ${atMs}`;
    const count = (last: number): string =>
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`;
    for (const index of subject.replicas.keys()) {
      subject.tamper(index, `INSERT INTO tl_log ${count(2_000)} ${row('i', oldMs)} FROM n`);
      subject.tamper(index, `INSERT INTO tl_log ${row('2001', systemClock.wallMs())}`); // young
      subject.tamper(index, `INSERT INTO tl_log ${row(String(LOG_KEEP_ENTRIES + 2_500), oldMs)}`);
    }
    const store = await subject.open();
    const seqs = async (): Promise<unknown> =>
      (await subject.inspect('SELECT seq FROM tl_log ORDER BY seq')).map((rows) => rows.map(({ seq }) => seq));
    const kept = [2001, LOG_KEEP_ENTRIES + 2_500];
    await eventually(
      'the old entries are gone',
      async () => JSON.stringify(await seqs()) === JSON.stringify([kept, kept]),
    );
    assert.equal(
      (await deposit(store, 'alice', 1, { requestId: 'q5' })).replayed,
      false,
      'an id older than the log is new',
    );
    await store.close();
  });
});
