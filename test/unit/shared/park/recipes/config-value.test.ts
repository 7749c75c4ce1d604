/** What of a watch comes into force. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParkChange } from '../../../../../shared/park/park.ts';
import { type ConfigState, configAfter } from '../../../../../shared/park/recipes/config-value.ts';
import { parkEntry } from '../../../../support/park-in-maps.ts';

const rules = {
  fallback: 0,
  parse: (value: unknown): number => {
    if (typeof value === 'number') return value;
    throw new Error('expected a number');
  },
};
const begin: ConfigState<number> = { value: 0, revision: 0, refusal: undefined };
const put = (revision: number, value: unknown): ParkChange => ({
  kind: 'put',
  revision,
  entry: parkEntry('n', revision, { value, modRevision: revision }),
});

test('what fits comes into force, with its revision', () => {
  assert.deepEqual(configAfter(begin, put(4, 7), rules), { value: 7, revision: 4, refusal: undefined });
});

test('what does not fit is refused, the last stays, and the next that fits clears the refusal', () => {
  const good = configAfter(begin, put(4, 7), rules);
  const bad = configAfter(good, put(5, 'x'), rules);
  assert.deepEqual([bad.value, bad.revision, bad.refusal?.code], [7, 4, 'CONFIG_INVALID']);
  assert.deepEqual(configAfter(bad, put(6, 8), rules), { value: 8, revision: 6, refusal: undefined });
});

test('one that is removed, or not there, is the fallback; told again, nothing changes', () => {
  const good = configAfter(begin, put(4, 7), rules);
  assert.deepEqual(configAfter(good, { kind: 'removed', revision: 9, domain: 'd', node: 'n' }, rules), begin);
  assert.deepEqual(configAfter(good, { kind: 'content', revision: 9, entries: [] }, rules), begin);
  const again = { kind: 'content', revision: 9, entries: [parkEntry('n', 4, { value: 7 })] } as const;
  assert.equal(configAfter(good, again, rules), good);
});
