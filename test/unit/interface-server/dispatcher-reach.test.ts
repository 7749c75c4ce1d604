import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DispatcherReach } from '../../../interface-server/dispatcher-reach.ts';
import { Peer } from '../../../shared/balance/peer-pool.ts';
import { REACH_TOPIC } from '../../../shared/dispatcher-messages.ts';
import { smallState } from '../../support/small-cluster.ts';

const STATE = smallState(1);

test('without a working dispatcher nothing is reached, and the reason says so', () => {
  assert.deepEqual(new DispatcherReach().missing(STATE, []), ['no dispatcher works']);
});

test('without published routes there is nothing to serve', () => {
  const reasons = new DispatcherReach().missing({ ...STATE, routes: [] }, [new Peer('d1', 'x:1')]);
  assert.deepEqual(reasons, ['no app server has published its routes yet']);
});

test('a group counts as reached when any working dispatcher reaches it', () => {
  const reach = new DispatcherReach();
  const [first, second] = [new Peer('d1', 'x:1'), new Peer('d2', 'x:2')];
  reach.onNotice(first, REACH_TOPIC, { groups: ['g1'] });
  reach.onNotice(second, REACH_TOPIC, { groups: ['g2'] });
  assert.deepEqual(reach.missing(STATE, [first, second]), []);
  assert.deepEqual(reach.missing(STATE, [first]), ['no dispatcher reaches a working app server of group g2']);
});

test('the newest word of a dispatcher is the one that counts', () => {
  const reach = new DispatcherReach();
  const peer = new Peer('d1', 'x:1');
  reach.onNotice(peer, REACH_TOPIC, { groups: ['g1', 'g2'] });
  reach.onNotice(peer, REACH_TOPIC, { groups: [] });
  assert.equal(reach.missing(STATE, [peer]).length, 2);
});

test('a notice about something else, or of another shape, changes nothing and harms nothing', () => {
  const reach = new DispatcherReach();
  const peer = new Peer('d1', 'x:1');
  reach.onNotice(peer, REACH_TOPIC, { groups: ['g1', 'g2'] });
  reach.onNotice(peer, 'other', { groups: [] });
  for (const value of [null, 7, 'x', {}, { groups: 'g1' }, { groups: null }]) reach.onNotice(peer, REACH_TOPIC, value);
  assert.deepEqual(reach.missing(STATE, [peer]), []);
});
