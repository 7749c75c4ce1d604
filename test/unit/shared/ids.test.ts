import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeIncarnation, REQUEST_ID_BYTES, requestIdText } from '../../../shared/ids.ts';
import { seededRandom, systemRandom } from '../../../shared/random.ts';

test('an incarnation is 16 hex digits, another one for every start', () => {
  const made = new Set(Array.from({ length: 100 }, () => makeIncarnation(systemRandom)));
  assert.equal(made.size, 100);
  for (const incarnation of made) assert.match(incarnation, /^[0-9a-f]{16}$/);
});

test('an incarnation comes from the randomness it is given', () => {
  assert.equal(makeIncarnation(seededRandom(5)), makeIncarnation(seededRandom(5)));
});

test('a request id is as long for the first request as for the last', () => {
  const incarnation = 'ffffffffffffffff';
  for (const counter of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const id = requestIdText(incarnation, counter);
    assert.equal(id.length, REQUEST_ID_BYTES * 2);
    assert.deepEqual([id.slice(0, 16), Number.parseInt(id.slice(16), 16)], [incarnation, counter]);
  }
});
