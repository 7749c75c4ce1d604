import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ContentChange, ParkHistory } from '../../../../coordinator-server/park/park-history.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

function change(revision: number, domain = 'd', node = `n${revision}`): ContentChange {
  return { revision, domain, node, record: undefined };
}

function revisions(history: ParkHistory, after: number, domain = 'd'): number[] {
  return [...history.after(after, domain)].map(({ revision }) => revision);
}

test('what changed in a domain after a revision comes in order', () => {
  const history = new ParkHistory();
  for (const [revision, domain] of [
    [1, 'd'],
    [2, 'e'],
    [3, 'd'],
    [3, 'd'],
    [5, 'd'],
  ] as const)
    history.add(change(revision, domain));
  assert.deepEqual(revisions(history, 1), [3, 3, 5]);
  assert.deepEqual(revisions(history, 0, 'e'), [2]);
  assert.deepEqual(revisions(history, 5), []);
});

test('beyond its bounds the oldest go, whole revisions at a time, and it says how far', () => {
  const anyHistory = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 80 });
  fc.assert(
    fc.property(anyHistory, fc.integer({ min: 4, max: 20 }), (steps, eventsMax) => {
      const history = new ParkHistory({ eventsMax, bytesMax: 1e9 });
      const all: number[] = [];
      let revision = 1;
      for (const step of steps) {
        revision += step;
        all.push(revision);
        history.add(change(revision));
        const { compactedRevision } = history;
        assert.deepEqual(
          revisions(history, compactedRevision),
          all.filter((one) => one > compactedRevision),
        );
        assert.ok(revisions(history, compactedRevision).length <= eventsMax);
      }
    }),
    fewerRuns(4),
  );
});

test('values count, and large ones push the oldest out', () => {
  const history = new ParkHistory({ eventsMax: 1_000, bytesMax: 10_000 });
  const record = { value: 'x'.repeat(2_000) } as ContentChange['record'];
  for (let revision = 1; revision <= 10; revision++) history.add({ ...change(revision), record });
  assert.ok(history.compactedRevision > 0);
  assert.ok(revisions(history, history.compactedRevision).length < 5);
});
