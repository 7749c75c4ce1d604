/** When nodes with a TTL come up, against a plain map; and what is left behind of those that do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DueNodes, LEFT_OVER_MAX } from '../../../../coordinator-server/park/due-nodes.ts';
import '../../../support/property-runs.ts';

const aStep = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), node: fc.nat(3), inMs: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ kind: fc.constant('remove' as const), node: fc.nat(3) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(30) }),
);

test('each node comes up once, at its last time, whether that was moved back or forth', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 40 }), (steps) => {
      const due = new DueNodes();
      const model = new Map<string, number>();
      const hasTtl = (_domain: string, node: string): boolean => model.has(node);
      let nowMs = 0;
      for (const step of steps) {
        if (step.kind === 'set') {
          model.set(`n${step.node}`, nowMs + step.inMs);
          due.set('d', `n${step.node}`, nowMs + step.inMs);
        } else if (step.kind === 'remove') model.delete(`n${step.node}`);
        else {
          nowMs += step.ms;
          const expected = [...model].filter(([, atMs]) => atMs <= nowMs).map(([node]) => node);
          const taken = due.takeDue(nowMs, 100, hasTtl).map(({ node }) => node);
          assert.deepEqual(taken.toSorted(), expected.toSorted());
          for (const node of taken) model.delete(node);
        }
      }
    }),
  );
});

test('no more come up at once than are asked for, the earliest first', () => {
  const due = new DueNodes();
  for (const atMs of [3, 1, 2]) due.set('d', `n${atMs}`, atMs);
  const take = (max: number): string[] => due.takeDue(10, max, () => true).map(({ node }) => node);
  assert.deepEqual([take(2), take(2), take(2)], [['n1', 'n2'], ['n3'], []]);
});

test('nodes that are created with a long TTL and deleted leave a bounded number of entries', () => {
  const due = new DueNodes();
  const there = new Set<string>();
  const hasTtl = (_domain: string, node: string): boolean => there.has(node);
  due.set('d', 'stays', 1_000_000);
  there.add('stays');
  for (let number = 0; number < 5 * LEFT_OVER_MAX; number++) {
    due.set('d', `n${number}`, 1_000_000 + number);
    due.set('d', 'stays', number % 2 === 0 ? 900_000 - number : 1_000_000); // shortened again and again
    if (number % 1_000 === 0) due.trim(1, hasTtl);
    assert.ok(due.size <= LEFT_OVER_MAX + 2_010, `${due.size} entries`);
  }
  assert.deepEqual(due.takeDue(2_000_000, 10, hasTtl), [{ domain: 'd', node: 'stays' }]);
});
