import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FencedResource, fenceComplaints, type Holding, lockComplaints } from '../../../support/history/lock-record.ts';

function held(holder: string, token: number, fromMs: number, untilMs: number): Holding {
  return { holder, token, fromMs, untilMs };
}

test('holders one after the other with tokens that grow are right', () => {
  assert.deepEqual(lockComplaints([held('b', 5, 10, 20), held('a', 2, 0, 10), held('a', 9, 21, 21)]), []);
});

test('two holders at once are found, also with others between', () => {
  assert.match(
    lockComplaints([held('a', 1, 0, 11), held('b', 2, 10, 20)]).join(),
    /b \(token 2\) held it 1\.0 ms beside a/,
  );
  assert.equal(lockComplaints([held('a', 1, 0, 30), held('b', 2, 40, 50), held('c', 3, 45, 46)]).length, 1);
});

test('a token that does not grow is found', () => {
  assert.match(
    lockComplaints([held('a', 7, 0, 1), held('b', 7, 2, 3)]).join(),
    /b \(token 7\) came after a with token 7/,
  );
  assert.match(lockComplaints([held('a', 7, 0, 1), held('b', 6, 2, 3)]).join(), /with token 7/);
});

test('a resource takes no older token after a newer one, and a record of one that does is found', () => {
  const resource = new FencedResource();
  assert.deepEqual(
    [3, 3, 5, 4, 6].map((token) => resource.write(token)),
    [true, true, true, false, true],
  );
  assert.deepEqual([resource.accepted, resource.refused], [4, 1]);
  assert.deepEqual(fenceComplaints([3, 3, 5, 6]), []);
  assert.deepEqual(fenceComplaints([3, 5, 4]), ['a write with token 4 was taken after 5']);
});
