/** The append buffer: what waits, and how much may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppendBuffer } from '../../../../coordinator-server/journal/append-buffer.ts';
import { UNFLUSHED_BYTES_MAX, UNFLUSHED_RECORDS_MAX } from '../../../../coordinator-server/journal/journal-limits.ts';

test('what was taken counts until it is on the disk', () => {
  const buffer = new AppendBuffer();
  buffer.append(Buffer.alloc(UNFLUSHED_BYTES_MAX), 1);
  assert.equal(buffer.isFull, true);
  const batch = buffer.take();
  assert.deepEqual([buffer.records, buffer.isFull], [0, true]);
  buffer.release(batch);
  assert.equal(buffer.isFull, false);
});

test('so many records are enough, however small', () => {
  const buffer = new AppendBuffer();
  for (let sequence = 1; sequence < UNFLUSHED_RECORDS_MAX; sequence++) buffer.append(Buffer.alloc(0), sequence);
  const batch = buffer.take();
  assert.equal(buffer.isFull, false);
  buffer.append(Buffer.alloc(0), UNFLUSHED_RECORDS_MAX);
  assert.equal(buffer.isFull, true);
  buffer.release(batch);
  assert.equal(buffer.isFull, false);
});

test('a batch is not touched by what is appended after it', () => {
  const buffer = new AppendBuffer();
  buffer.append(Buffer.from('one'), 1);
  const batch = buffer.take();
  const before = Buffer.from(batch.bytes.subarray(24, batch.length));
  buffer.append(Buffer.from('two'), 2);
  buffer.clear();
  assert.deepEqual(batch.bytes.subarray(24, batch.length), before);
  assert.equal(batch.records, 1);
});
