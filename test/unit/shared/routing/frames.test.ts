import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ClusterConfig } from '../../../../shared/config/cluster-schema.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { assignFrames, bucketOwners, evenFrames } from '../../../../shared/routing/frames.ts';
import { configOf, SMALL_CLUSTER } from '../../../support/cluster-text.ts';

const SMALL = configOf(SMALL_CLUSTER);

function clusterOf(
  frames: (readonly (string | number)[] | undefined)[],
  more: { frames?: number; buckets?: number } = {},
): ClusterConfig {
  const template = SMALL.groups[0] as ClusterConfig['groups'][number];
  const groups = frames.map((list, index) => {
    const { frames: _, ...group } = template;
    return { ...group, id: `g${index + 1}`, ...(list === undefined ? {} : { frames: [...list] }) };
  });
  const hash = { ...SMALL.hash, buckets: more.buckets ?? 100 };
  return { ...SMALL, hash, groups, ...(more.frames === undefined ? {} : { frames: more.frames }) };
}

function messagesOf(config: ClusterConfig): string[] {
  return assignFrames(config).problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('frames: N', () => {
  test('splits 100 buckets by the classic rule for every N from 1 to 100', () => {
    for (let count = 1; count <= 100; count += 1) {
      const owners = bucketOwners(clusterOf(new Array<undefined>(count).fill(undefined), { frames: count }));
      const step = Math.floor(100 / count);
      const expected = Array.from({ length: 100 }, (_, bucket) => Math.min(Math.floor(bucket / step), count - 1));
      assert.deepEqual(owners, expected, `N = ${count}`);
    }
  });

  test('gives the last group what is left over', () => {
    assert.deepEqual(evenFrames(3, 100), [
      [0, 32],
      [33, 65],
      [66, 99],
    ]);
    assert.deepEqual(evenFrames(51, 100).at(-1), [50, 99]);
    assert.deepEqual(evenFrames(1, 1), [[0, 0]]);
  });

  test('covers every bucket once, in order, for any counts', () => {
    const counts = fc
      .integer({ min: 1, max: 65_536 })
      .chain((buckets) => fc.tuple(fc.integer({ min: 1, max: Math.min(100, buckets) }), fc.constant(buckets)));
    fc.assert(
      fc.property(counts, ([groups, buckets]) => {
        let next = 0;
        for (const [first, last] of evenFrames(groups, buckets)) {
          assert.ok(first === next && last >= first);
          next = last + 1;
        }
        assert.equal(next, buckets);
      }),
    );
  });

  test('is refused when it is not the number of groups, or stands beside frames of a group', () => {
    assert.match(
      messagesOf(clusterOf([undefined, undefined], { frames: 3 })).join(),
      /^frames: expected the number of groups, which is 2, came 3/,
    );
    assert.match(
      messagesOf(clusterOf([undefined, ['0-99']], { frames: 2 })).join(),
      /^groups\.1\.frames: expected no frames here, because `frames: 2`/,
    );
    assert.match(
      messagesOf(clusterOf([undefined, undefined, undefined], { frames: 3, buckets: 2 })).join(),
      /at most one frame a bucket/,
    );
  });
});

describe('listed frames', () => {
  test('may be single buckets and ranges in any order', () => {
    const owners = bucketOwners(
      clusterOf([
        ['90-99', 0, '2'],
        ['1', '3-89'],
      ]),
    );
    assert.deepEqual(
      [0, 1, 2, 3, 89, 90, 99].map((bucket) => owners[bucket]),
      [0, 1, 0, 1, 1, 0, 0],
    );
  });

  test('with gaps are refused, naming the gaps', () => {
    assert.deepEqual(messagesOf(clusterOf([['0-9', '11-49'], ['60-98']])), [
      'groups: expected a group for every bucket 0-99, none has 10, 50-59, 99',
    ]);
    const odd = Array.from({ length: 50 }, (_, index) => 2 * index);
    assert.match(messagesOf(clusterOf([odd])).join(), /none has 1, 3, 5, 7, 9 and 45 more gaps$/);
  });

  test('that overlap are refused, naming the frame, the bucket and its owner', () => {
    assert.deepEqual(messagesOf(clusterOf([['0-50'], ['50-99']])), [
      'groups.1.frames.0: expected buckets of no other frame, came 50-99: bucket 50 is in a frame of group g1 already',
    ]);
    assert.match(messagesOf(clusterOf([['0-99', 7]])).join(), /groups\.0\.frames\.1: .*came 7: bucket 7/);
  });

  test('are refused when reversed, out of range or missing', () => {
    assert.match(messagesOf(clusterOf([['99-0']])).join(), /expected a range first-last, came 99-0/);
    assert.match(
      messagesOf(clusterOf([['0-100']])).join(),
      /expected buckets up to 99 \(hash.buckets is 100\), came 0-100/,
    );
    assert.match(
      messagesOf(clusterOf([['0-99'], undefined])).join(),
      /^groups\.1\.frames: expected the buckets of group g2, came none/,
    );
  });

  test('that are wrong make bucketOwners throw CONFIG_INVALID', () => {
    assert.throws(
      () => bucketOwners(clusterOf([['0-98']])),
      (error) => error instanceof PlatformError && error.code === 'CONFIG_INVALID' && /none has 99/.test(error.detail),
    );
  });
});
