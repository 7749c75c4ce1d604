import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeOperation } from '../../../support/history/node-model.ts';
import { revisionComplaints } from '../../../support/history/revision-order.ts';

function put(value: string, calledAtMs: number, atMs: number, revision: number): NodeOperation {
  const answer = { output: { kind: 'written', version: 1, revision }, atMs } as const;
  return { client: value, input: { op: 'put', value }, calledAtMs, answer };
}

function get(value: string, calledAtMs: number, revision: number): NodeOperation {
  const answer = { output: { kind: 'read', value, version: 1, revision }, atMs: calledAtMs + 1 } as const;
  return { client: 'reader', input: { op: 'get' }, calledAtMs, answer };
}

test('revisions that grow with time, and in any order at the same time, are right', () => {
  const operations = [put('a', 0, 1, 1), put('b', 2, 9, 4), put('c', 3, 8, 3), put('d', 10, 11, 5), get('a', 12, 1)];
  assert.deepEqual(revisionComplaints(operations), []);
});

test('a revision that is not above what was answered before is found', () => {
  assert.match(revisionComplaints([put('a', 0, 1, 7), put('b', 2, 3, 6)]).join(), /b wrote at revision 6 after 7/);
  assert.match(revisionComplaints([put('a', 0, 1, 7), put('b', 2, 3, 7)]).join(), /b wrote at revision 7 after 7/);
});

test('a value read at another revision than it was written at is found', () => {
  assert.match(
    revisionComplaints([put('a', 0, 1, 7), get('a', 2, 8)]).join(),
    /read a at revision 8, elsewhere it is 7/,
  );
  assert.equal(revisionComplaints([get('x', 0, 3), get('x', 2, 4)]).length, 1);
});
