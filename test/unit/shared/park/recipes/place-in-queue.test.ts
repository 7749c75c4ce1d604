/** Who holds: the rules over every mixture of those that wait, and over queues that move. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ParkEntry } from '../../../../../shared/park/park.ts';
import {
  type ClaimMode,
  type Contender,
  contendersOf,
  placeOf,
  requireAgreement,
} from '../../../../../shared/park/recipes/place-in-queue.ts';
import { fewerRuns } from '../../../../support/property-runs.ts';

function contender(createRevision: number, mode: ClaimMode, permits = 1): Contender {
  return { node: `x${createRevision}`, createRevision, mode, permits, claim: String(createRevision), info: null };
}

function entry(node: string, createRevision: number, value: unknown, ephemeral = true): ParkEntry {
  const shared = { domain: 'd', version: 1, access: 'read', owner: '' } as const;
  return { ...shared, node, value, createRevision, modRevision: createRevision, ephemeral };
}

const modes = fc.array(fc.constantFrom<ClaimMode>('exclusive', 'shared'), { maxLength: 12 });

function holdersOf(queue: readonly Contender[]): Contender[] {
  return queue.filter(({ node }) => placeOf(queue, node).kind === 'holds');
}

describe('who holds', () => {
  test('is decided by revision, not by name; what is no claim does not count', () => {
    const value = { claim: 'c', mode: 'exclusive', permits: 1, info: 7 };
    const entries = [
      entry('a', 9, value),
      entry('b', 4, value),
      entry('c', 1, value, false),
      entry('gate.x', 2, null),
      entry('e', 3, { ...value, mode: 'other' }),
      entry('f', 3, 'text'),
    ];
    assert.deepEqual(
      contendersOf(entries).map(({ node, info }) => [node, info]),
      [
        ['b', 7],
        ['a', 7],
      ],
    );
  });

  test('one that is not there is gone', () => {
    assert.deepEqual(placeOf([contender(1, 'exclusive')], 'x2'), { kind: 'gone' });
  });

  test('always somebody, and never a writer with anybody else', () => {
    const property = (all: readonly ClaimMode[]): void => {
      const queue = all.map((mode, index) => contender(index + 1, mode));
      const holders = holdersOf(queue);
      assert.equal(holders.length > 0, queue.length > 0);
      if (holders.some(({ mode }) => mode === 'exclusive')) assert.equal(holders.length, 1);
    };
    fc.assert(fc.property(modes, property));
  });

  test('who waits waits behind somebody before it, and no sooner holds than that one is gone', () => {
    const property = (all: readonly ClaimMode[]): void => {
      const queue = all.map((mode, index) => contender(index + 1, mode));
      for (const { node, createRevision } of queue) {
        const place = placeOf(queue, node);
        if (place.kind !== 'waits') continue;
        const behind = queue.find((one) => one.node === place.behind);
        assert.ok(behind !== undefined && behind.createRevision < createRevision);
        for (const gone of queue.filter((one) => one.node !== place.behind && one.node !== node)) {
          const rest = queue.filter((one) => one !== gone);
          assert.equal(placeOf(rest, node).kind, 'waits');
        }
      }
    };
    fc.assert(fc.property(modes, property));
  });

  test('no two writers wait behind the same one, so that who goes wakes one of them', () => {
    const property = (all: readonly ClaimMode[]): void => {
      const queue = all.map((mode, index) => contender(index + 1, mode));
      const writers = queue.filter(({ mode }) => mode === 'exclusive').map(({ node }) => placeOf(queue, node));
      const behind = writers.flatMap((place) => (place.kind === 'waits' ? [place.behind] : []));
      assert.equal(new Set(behind).size, behind.length);
    };
    fc.assert(fc.property(modes, property));
  });

  test('as the queue moves, writers hold one after the other with growing tokens, and everybody gets a turn', () => {
    const steps = fc.array(fc.oneof(fc.constantFrom<ClaimMode>('exclusive', 'shared'), fc.nat(20)), { maxLength: 40 });
    const property = (all: readonly (ClaimMode | number)[]): void => {
      let queue: Contender[] = [];
      let revision = 0;
      let lastWriter = 0;
      const held = new Set<string>();
      const look = (): void => {
        for (const { node, mode, createRevision } of holdersOf(queue)) {
          if (mode === 'exclusive' && !held.has(node)) {
            assert.ok(createRevision > lastWriter);
            lastWriter = createRevision;
          }
          held.add(node);
        }
      };
      for (const step of all) {
        revision++;
        if (typeof step === 'string') queue.push(contender(revision, step));
        else queue = queue.filter((_, index) => index !== step);
        look();
      }
      while (queue.length > 0) {
        const [first] = holdersOf(queue);
        queue = queue.filter((one) => one !== first);
        look();
      }
      assert.deepEqual(holdersOf(queue), []);
    };
    fc.assert(fc.property(steps, property), fewerRuns(2));
  });

  test('of a semaphore as many as there are permits, those that came first', () => {
    const property = (length: number, permits: number): void => {
      const queue = Array.from({ length }, (_, index) => contender(index + 1, 'exclusive', permits));
      assert.deepEqual(holdersOf(queue), queue.slice(0, permits));
    };
    fc.assert(fc.property(fc.nat(12), fc.integer({ min: 2, max: 6 }), property));
  });

  test('who came first says how many permits there are', () => {
    const queue = [contender(1, 'exclusive', 2), contender(2, 'exclusive', 3)];
    assert.doesNotThrow(() => requireAgreement(queue, 'x1', 'semaphore d'));
    assert.throws(() => requireAgreement(queue, 'x2', 'semaphore d'), { code: 'PARK_REQUEST_INVALID' });
  });
});
