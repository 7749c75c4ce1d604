import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBody } from '../../../interface-server/body-reader.ts';
import { FakeResponse } from '../../support/fake-web.ts';

function reading(bytesMax: number): { response: FakeResponse; told: (string | number)[][] } {
  const response = new FakeResponse();
  const told: (string | number)[][] = [];
  readBody(response.web, bytesMax, {
    onBody: (body) => told.push(['body', Buffer.from(body).toString()]),
    onTooLarge: (bytes) => told.push(['too large', bytes]),
    onProgress: (graceMs) => told.push(['progress', graceMs]),
  });
  return { response, told };
}

test('a body in one part, in several, and an empty one come whole', () => {
  const one = reading(100);
  one.response.data('whole', true);
  assert.deepEqual(one.told, [['body', 'whole']]);
  const many = reading(100);
  for (const [text, last] of [
    ['a', false],
    ['', false],
    ['bc', false],
    ['', true],
  ] as const)
    many.response.data(text, last);
  assert.deepEqual(many.told.at(-1), ['body', 'abc']);
  const none = reading(100);
  none.response.data('', true);
  assert.deepEqual(none.told, [['body', '']]);
});

test('a body at the limit is taken, and the first byte past it is told once', () => {
  const at = reading(4);
  at.response.data('ab', false);
  at.response.data('cd', true);
  assert.deepEqual(at.told.at(-1), ['body', 'abcd']);
  const over = reading(4);
  over.response.data('abc', false);
  over.response.data('de', false);
  over.response.data('fg', true);
  assert.deepEqual(over.told.slice(1), [['too large', 5]]);
});

test('what has come buys time, in step with its bytes', () => {
  const { response, told } = reading(100_000);
  response.data('x'.repeat(16_000), false);
  response.data('x'.repeat(16_000), false);
  assert.deepEqual(told, [
    ['progress', 1_000],
    ['progress', 2_000],
  ]);
});
