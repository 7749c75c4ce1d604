import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { checkSchema } from '../../../shared/schema-check.ts';

const schema = z.object({ name: z.string().max(8) });

test('a value that fits is given back, and one that does not says why', () => {
  assert.deepEqual(checkSchema(schema, { name: 'x', more: 1 })?.data, { name: 'x' });
  assert.equal(checkSchema(schema, { name: 7 })?.success, false);
});

test('Z1: a length that cannot be compared fits nothing, and is not thrown at', () => {
  const value: unknown = JSON.parse('{"name":{"length":{"toString":1}}}');
  assert.throws(() => schema.safeParse(value), TypeError, 'zod takes it up by now: this file can go');
  assert.equal(checkSchema(schema, value), undefined);
});

test('what a schema’s own function throws is not hidden', () => {
  const broken = z.any().refine(() => {
    throw new Error('a defect');
  });
  assert.throws(() => checkSchema(broken, 1), /a defect/);
});
