import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJoin, parseLease, parseRenew } from '../../../shared/coordination-messages.ts';
import { EPOCH_MAX, parsePublishedState } from '../../../shared/published-state-schema.ts';
import { echoRoute, smallBucketMap, smallState } from '../../support/small-cluster.ts';

const JOIN = {
  tier: 'app',
  serverId: 'g1a',
  incarnation: '0123456789abcdef',
  listen: '127.0.0.1:1',
  admin: '127.0.0.1:2',
  version: '0.1.0',
  routes: [echoRoute()],
  stateEpoch: 0,
  mapEpoch: 0,
};

test('a published state comes through JSON unchanged, and parsing it twice changes nothing more', () => {
  const once = parsePublishedState(JSON.parse(JSON.stringify(smallState(3))));
  assert.deepEqual(once, smallState(3));
  assert.deepEqual(parsePublishedState(once), once);
});

test('a state that was kept before there was such a thing has nobody taken out', () => {
  const { takenOut, ...before } = smallState(3);
  assert.deepEqual(parsePublishedState(before).takenOut, takenOut);
  assert.deepEqual(parsePublishedState({ ...before, takenOut: { g1a: 'maint' } }).takenOut, { g1a: 'maint' });
});

const badStates: [name: string, state: unknown, says: RegExp][] = [
  ['nothing', null, /as a whole/],
  ['a way to be out that there is not', { ...smallState(1), takenOut: { g1a: 'gone' } }, /at takenOut/],
  ['a negative epoch', { ...smallState(1), epoch: -1 }, /at epoch/],
  [
    'an owner that is no group',
    { ...smallState(1), bucketMap: { ...smallBucketMap(1), groupIds: ['g1'] } },
    /indexes of groupIds/,
  ],
  [
    'a bucket without an owner',
    { ...smallState(1), bucketMap: { ...smallBucketMap(1), owners: [0, 1] } },
    /every bucket/,
  ],
  [
    'a group that the config lacks',
    { ...smallState(1), bucketMap: { ...smallBucketMap(1), groupIds: ['g1', 'g3'] } },
    /groups of the config/,
  ],
  ['a config field that is unknown', { ...smallState(1), config: { ...smallState(1).config, surprise: 1 } }, /config/],
  ['a route that is no path', { ...smallState(1), routes: [echoRoute('echo')] }, /routes\.0\.pattern/],
];

for (const [name, state, says] of badStates) {
  test(`a published state with ${name} is refused with the place`, () => {
    assert.throws(() => parsePublishedState(state), says);
  });
}

test('a join with what this version does not know is taken without it', () => {
  assert.deepEqual(parseJoin({ ...JOIN, colour: 'red' }), { ...JOIN, term: 0 });
});

const badJoins: [name: string, join: unknown][] = [
  ['text', 'g1a'],
  ['a list', [JOIN]],
  ['an id that is a path', { ...JOIN, serverId: '../g1a' }],
  ['an incarnation that is none', { ...JOIN, incarnation: 'x' }],
  ['another tier', { ...JOIN, tier: 'tool' }],
  ['too many routes', { ...JOIN, routes: Array.from({ length: 2_001 }, () => echoRoute()) }],
  ['a method in lower case', { ...JOIN, routes: [{ ...echoRoute(), method: 'get' }] }],
  ['an epoch that leaves no room above', { ...JOIN, stateEpoch: EPOCH_MAX }],
];

for (const [name, join] of badJoins) {
  test(`a join with ${name} is refused`, () => assert.throws(() => parseJoin(join), /Expected a join/));
}

test('a renewal without a load report has none, and one with too large a report is refused', () => {
  assert.deepEqual(parseRenew({ sequence: 1 }), { sequence: 1, load: null });
  assert.throws(() => parseRenew({ sequence: 1, load: 'x'.repeat(20_000) }), /load report/);
  assert.throws(() => parseRenew({ sequence: -1 }), /Expected a renewal/);
});

test('a lease of negative length is refused', () => {
  assert.throws(() => parseLease({ sequence: 0, ttlMs: -1 }), /Expected a lease/);
});
