import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParkChange, ParkEntry } from '../../../../shared/park/park.ts';
import { WatchRecord } from '../../../support/history/watch-record.ts';

function entry(node: string, version: number, modRevision: number): ParkEntry {
  const value = `${node}${version}`;
  const fields = { createRevision: modRevision - version + 1, access: 'all', ephemeral: false, owner: '' } as const;
  return { domain: 'd', node, value, version, modRevision, ...fields };
}

const put = (node: string, version: number, revision: number): ParkChange => ({
  kind: 'put',
  revision,
  entry: entry(node, version, revision),
});
const removed = (node: string, revision: number): ParkChange => ({ kind: 'removed', revision, domain: 'd', node });
const content = (revision: number, ...entries: ParkEntry[]): ParkChange => ({ kind: 'content', revision, entries });

function complaints(...changes: readonly ParkChange[]): string {
  const record = new WatchRecord('w');
  for (const change of changes) record.take(change);
  return record.complaints.join();
}

test('what a right watch tells is right', () => {
  const told = [content(5, entry('a', 2, 4)), put('a', 3, 6), put('b', 1, 6), removed('a', 7), put('a', 1, 9)];
  assert.equal(complaints(...told, content(20, entry('a', 4, 18)), put('a', 5, 21)), '');
});

test('a change that was skipped is found', () => {
  assert.match(complaints(content(1), put('a', 1, 2), put('a', 3, 4)), /a has version 3 after 1/);
  assert.match(complaints(content(1), put('a', 1, 2), put('a', 1, 4)), /a has version 1 after 1/);
  assert.match(complaints(content(1), removed('a', 2)), /a removed, which was not there/);
});

test('a change that is told twice, or late, is found', () => {
  assert.match(complaints(content(1), put('a', 1, 2), put('a', 1, 2)), /a twice at revision 2/);
  assert.match(complaints(content(1), put('b', 1, 5), put('a', 1, 4)), /revision 4 after 5/);
  assert.match(complaints(content(5, entry('a', 1, 5)), put('a', 2, 5)), /a twice at revision 5/);
});

test('content that goes back, and changes before any content, are found', () => {
  assert.match(complaints(content(5), content(5)), /content of revision 5 after 5/);
  assert.match(complaints(content(5, entry('a', 2, 5)), content(9, entry('a', 1, 3))), /a of 3 after 5/);
  assert.match(complaints(put('a', 1, 2)), /before any content/);
});

test('what a watch adds up to is compared with what is there', () => {
  const record = new WatchRecord('w');
  for (const change of [content(1), put('a', 1, 2), put('b', 1, 3)]) record.take(change);
  assert.deepEqual(record.complaintsAgainst([entry('a', 1, 2), entry('b', 1, 3)]), []);
  assert.match(record.complaintsAgainst([entry('a', 1, 2)]).join(), /b was told as of 3, it is of undefined/);
  const [missing] = record.complaintsAgainst([entry('a', 1, 2), entry('b', 1, 3), entry('c', 1, 4)]);
  assert.equal(missing, 'w: c was never told');
});
