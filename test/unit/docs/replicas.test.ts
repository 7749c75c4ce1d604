/** docs/replicas.md names the bounds that the database room has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as limits from '../../../db/limits.ts';
import { amountOf, readDocument, tableOf } from '../../support/markdown.ts';

test('the bounds are those of the code', () => {
  const rows = tableOf(readDocument('docs/replicas.md'), ['name', 'value', 'past it']);
  assert.deepEqual(Object.fromEntries(rows.map(([name, value]) => [name, amountOf(value ?? '')])), { ...limits });
});
