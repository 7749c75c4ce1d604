import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GroupShare, groupSharesOf } from '../../../dispatcher-server/group-share.ts';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import type { Link } from '../../../shared/link/link.ts';
import { smallClusterConfig } from '../../support/small-cluster.ts';

const link = (): Link => ({}) as Link;

function configOf(concurrency: number, dispatchers: number, groups = 2): ClusterConfig {
  const config = smallClusterConfig();
  const [dispatcher] = config.dispatcher.servers;
  assert.ok(dispatcher !== undefined);
  config.dispatcher.servers = Array.from({ length: dispatchers }, (_, index) => ({ ...dispatcher, id: `d${index}` }));
  config.groups = config.groups.slice(0, groups);
  config.queues = { interactive: { weight: 1, capacity: 10, capacityBytes: 1_000, waitMsMax: 1_000, concurrency } };
  return config;
}

test('W1: all dispatchers together leave an interface server room for other groups', () => {
  for (const concurrency of [2, 7, 64, 1_024, 60_000]) {
    for (const dispatchers of [1, 2, 3, 64].filter((count) => count < concurrency)) {
      const [share = 0] = groupSharesOf(configOf(concurrency, dispatchers));
      assert.ok(share >= 1 && share * dispatchers < concurrency, `${share} of ${concurrency} at ${dispatchers}`);
    }
  }
  assert.deepEqual(groupSharesOf(configOf(1_024, 2)), [384]);
});

test('W2: a cluster of one group refuses nothing for its share', () => {
  const shares = groupSharesOf(configOf(2, 1, 1));
  const share = new GroupShare();
  const origin = link();
  for (let count = 0; count < 1_000; count++) assert.ok(share.take(origin, 0, shares));
});

test('a seat that is free again is given again, and none of another link or class', () => {
  const share = new GroupShare();
  const [first, second] = [link(), link()];
  const shares = [2, 1];
  const seat = share.take(first, 0, shares);
  assert.ok(seat !== undefined && share.take(first, 0, shares) !== undefined);
  assert.equal(share.take(first, 0, shares), undefined);
  assert.ok(share.take(first, 1, shares), 'another class');
  assert.ok(share.take(second, 0, shares), 'another interface server');
  seat.taken--;
  assert.ok(share.take(first, 0, shares));
});

test('a class that does not exist counts as the first, as in the queue', () => {
  const share = new GroupShare();
  const origin = link();
  assert.ok(share.take(origin, 0, [1, 1]));
  assert.equal(share.take(origin, 7, [1, 1]), undefined);
});
