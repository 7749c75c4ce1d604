/** Tokens of fences on replicas that were away, are older than fences, or were changed by somebody else. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Fence, ReplicatedStore } from '../../../db/replicated-store.ts';
import { SqliteSubject } from '../../support/sqlite-subject.ts';
import { assertInStep, depositIn, inMs, rejectsWith } from '../../support/store-conformance.ts';

const NEWEST = 'SELECT name, token FROM tl_fence_tokens';

describe('tokens of fences on SQLite', () => {
  let subject: SqliteSubject;
  beforeEach(async () => {
    subject = await SqliteSubject.create(2);
  });
  afterEach(() => subject.remove());

  let requests = 0;
  function fenced(store: ReplicatedStore, fence: Fence): Promise<unknown> {
    requests += 1;
    const requestId = `q${requests}`;
    const request = { requestId, fingerprint: 'f', account: 'alice', bucket: 1, deadlineAtMs: inMs(10_000), fence };
    return store.write(request, (tx) => depositIn(tx, 'alice', 1, requestId));
  }

  test('a follower that is made again gets them from the log', async () => {
    const first = await subject.open();
    for (const token of [2, 2, 5]) await fenced(first, { name: 'lock', token });
    await first.close();
    for (const suffix of ['', '-wal', '-shm']) await rm(`${subject.file(1)}${suffix}`, { force: true });
    const second = await subject.open();
    assert.deepEqual(await subject.inspect(NEWEST), [[{ name: 'lock', token: 5 }], [{ name: 'lock', token: 5 }]]);
    await assert.rejects(fenced(second, { name: 'lock', token: 4 }), rejectsWith('FENCE_OUTDATED'));
    await assertInStep(subject);
    await second.close();
  });

  test('files of a version without fences get the table when they are opened', async () => {
    await (await subject.open()).close();
    for (const index of subject.replicas.keys()) subject.tamper(index, 'DROP TABLE tl_fence_tokens');
    const store = await subject.open();
    await fenced(store, { name: 'lock', token: 1 });
    await assertInStep(subject);
    await store.close();
  });

  test('a follower whose token was changed is found to differ and takes no write', async () => {
    const store = await subject.open();
    await fenced(store, { name: 'lock', token: 1 });
    subject.tamper(1, 'UPDATE tl_fence_tokens SET token = 9');
    await assert.rejects(fenced(store, { name: 'lock', token: 5 }), rejectsWith('REPLICAS_DIVERGED'));
    assert.deepEqual(await subject.inspect(NEWEST), [[{ name: 'lock', token: 1 }], [{ name: 'lock', token: 9 }]]);
    await store.close();
  });
});
