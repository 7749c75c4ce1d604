/** A domain's nodes after each kind of change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_VIEW, viewAfter } from '../../../../../shared/park/recipes/domain-view.ts';
import { parkEntry } from '../../../../support/park-in-maps.ts';

test('changes are put, removed, and replaced by all there is; an earlier view stays as it was', () => {
  const [a, b] = [parkEntry('a', 1), parkEntry('b', 2)];
  const first = viewAfter(EMPTY_VIEW, { kind: 'content', revision: 1, entries: [a] });
  const both = viewAfter(first, { kind: 'put', revision: 2, entry: b });
  const rest = viewAfter(both, { kind: 'removed', revision: 3, domain: 'd', node: 'a' });
  const anew = viewAfter(rest, { kind: 'content', revision: 9, entries: [a] });
  assert.deepEqual(
    [EMPTY_VIEW, first, both, rest, anew].map((view) => [...view.keys()].join()),
    ['', 'a', 'a,b', 'b', 'a'],
  );
});
