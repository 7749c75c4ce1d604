import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredChange } from '../../../../coordinator-server/park/park-state.ts';
import { decodeParkRecord, ParkRecordWriter, RECORD_KIND } from '../../../../coordinator-server/store/park-record.ts';
import { parserTest } from '../../../support/parser-property.ts';

const RECORD = {
  domain: 'd',
  node: 'n0000000000000001',
  value: JSON.stringify({ text: 'é €𝄞', list: [1, 2, 3] }),
  version: 3,
  createRevision: 2 ** 40,
  modRevision: 2 ** 40 + 5,
  access: 'read-write',
  ephemeral: true,
  ttlMs: 0,
  creator: 'a'.repeat(32),
} as const;

const CHANGES: readonly StoredChange[] = [
  { kind: 'put', record: RECORD, contentChanged: true },
  {
    kind: 'put',
    record: { ...RECORD, value: 'x'.repeat(100_000), ephemeral: false, access: 'all', ttlMs: 500, creator: '' },
    contentChanged: false,
  },
  { kind: 'remove', domain: 'd', node: 'x' },
  { kind: 'domain', record: { domain: 'd', creator: '', deletable: true, nextName: 17 } },
  { kind: 'remove-domain', domain: 'e' },
  { kind: 'session', id: 'b'.repeat(32), name: 'app g1a', ttlMs: 1_000 },
  { kind: 'session-ended', id: 'b'.repeat(32) },
];

test('what was encoded is decoded again, of every kind', () => {
  const writer = new ParkRecordWriter();
  for (const kind of Object.values(RECORD_KIND)) {
    const bytes = writer.encode(kind, 2 ** 50, 2 ** 50 + 1, CHANGES);
    assert.deepEqual(decodeParkRecord(bytes), { kind, revision: 2 ** 50, endRevision: 2 ** 50 + 1, changes: CHANGES });
  }
});

test('a record of another format says which version to run', () => {
  const bytes = Buffer.from(new ParkRecordWriter().encode(RECORD_KIND.transaction, 1, 0, []));
  bytes[0] = 9;
  assert.throws(() => decodeParkRecord(bytes), { code: 'JOURNAL_CORRUPT', detail: /format 1, got 9: run the version/ });
});

const samples = [CHANGES, CHANGES.slice(2), []].map((changes) =>
  Buffer.from(new ParkRecordWriter().encode(RECORD_KIND.transaction, 7, 0, changes)),
);

parserTest('a record of the park', {
  samples,
  parse: (input) => decodeParkRecord(input).changes.every(({ kind }) => kind !== undefined),
  refusals: ['JOURNAL_CORRUPT'],
  divisor: 4,
});
