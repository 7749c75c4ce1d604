import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lease, Member } from '../../../coordinator-server/membership-state.ts';
import {
  type ServiceFacts,
  type ServiceState,
  serviceState,
  standIns,
} from '../../../coordinator-server/service-state.ts';
import { type ClusterServer, clusterServers } from '../../../shared/cluster-servers.ts';
import type { MemberLoad } from '../../../shared/member-load.ts';
import type { TakenOutServers } from '../../../shared/published-state.ts';
import { smallClusterConfig } from '../../support/small-cluster.ts';

const EPOCH = 7;
const servers = clusterServers(smallClusterConfig());
const serverOf = (id: string): ClusterServer => servers.find(({ serverId }) => serverId === id) as ClusterServer;

const load = (fields: Partial<MemberLoad> = {}): MemberLoad => ({
  epoch: EPOCH,
  ready: true,
  inFlight: 0,
  peers: {},
  ...fields,
});

/** Every server of the small cluster, alive and idle, but for what is said of some. */
function factsOf(takenOut: TakenOutServers, loads: Record<string, unknown> = {}, gone: string[] = []): ServiceFacts {
  const member = (serverId: string): Member => {
    const { tier, listen, admin } = serverOf(serverId);
    const alive: Lease = { kind: 'alive', renewedAtMs: 0, untilMs: 1_000 };
    return {
      identity: { tier, serverId, incarnation: '0'.repeat(16), listen, admin, version: '1' },
      joinedAtMs: 0,
      lease: gone.includes(serverId) ? { kind: 'expired', atMs: 0 } : alive,
      load: serverId in loads ? loads[serverId] : load(),
      replaced: [],
    };
  };
  return { epoch: EPOCH, takenOut, servers, member };
}

function stateOf(id: string, facts: ServiceFacts): ServiceState {
  return serviceState(serverOf(id), facts);
}

const DRAIN_G1A = { g1a: 'drain' } as const;

test('a server taken out is settled once its senders know and have nothing out to it, and it has nothing in hand', () => {
  assert.deepEqual(stateOf('g1a', factsOf(DRAIN_G1A)), { state: 'drain', settled: true, waitingFor: [] });
});

const NOT_YET: Record<string, readonly [loads: Record<string, unknown>, reason: RegExp]> = {
  'a sender acts on an older state': [{ d1: load({ epoch: EPOCH - 1 }) }, /d1 has not said yet/],
  'a sender has never reported': [{ d1: null }, /d1 has not said yet/],
  'a sender reports what cannot be read': [{ d1: { omitted: 'too large' } }, /d1 has not said yet/],
  'a sender waits for its replies': [
    { d1: load({ peers: { g1a: { state: 'drain', inFlight: 1 } } }) },
    /^d1 waits for 1 request it sent there$/,
  ],
  'it works on what nobody waits for any more': [{ g1a: load({ inFlight: 2 }) }, /^it works on 2 requests$/],
  'it has not heard of it': [{ g1a: load({ epoch: 1 }) }, /^it has not said yet/],
};
for (const [what, [loads, reason]] of Object.entries(NOT_YET)) {
  test(`a server taken out is not settled while ${what}`, () => {
    const { settled, waitingFor } = stateOf('g1a', factsOf(DRAIN_G1A, loads));
    assert.deepEqual([settled, waitingFor.length], [false, 1]);
    assert.match(waitingFor[0] ?? '', reason);
  });
}

test('servers that are away are waited for neither as senders nor as the one taken out', () => {
  assert.equal(stateOf('g1a', factsOf(DRAIN_G1A, { d1: null, g1a: null }, ['d1', 'g1a'])).settled, true);
});

test('only the tier in front is asked, and an interface server has none', () => {
  assert.equal(stateOf('g1a', factsOf(DRAIN_G1A, { i1: null })).settled, true);
  const drained = stateOf('i1', factsOf({ i1: 'drain' }, { d1: null, i1: load({ connections: 3 }) }));
  assert.deepEqual(drained, { state: 'drain', settled: true, waitingFor: [], connections: 3 });
});

test('a server put back is settled once it runs, is ready, and every sender sends to it', () => {
  assert.deepEqual(stateOf('g1a', factsOf({})), { state: 'ready', settled: true, waitingFor: [] });
  assert.deepEqual(stateOf('g1a', factsOf({}, {}, ['g1a'])).waitingFor, ['it does not run']);
  assert.match(stateOf('g1a', factsOf({}, { g1a: load({ ready: false }) })).waitingFor[0] ?? '', /not ready/);
  const down = load({ peers: { g1a: { state: 'down', inFlight: 0 } } });
  assert.deepEqual(stateOf('g1a', factsOf({}, { d1: down })).waitingFor, ['d1 sends it nothing: down']);
});

test('stand-ins are of the same tier and group, alive, in service', () => {
  assert.deepEqual(standIns(serverOf('g1a'), factsOf({})), ['g1b']);
  assert.deepEqual(standIns(serverOf('g1a'), factsOf({ g1b: 'maint' })), []);
  assert.deepEqual(standIns(serverOf('g1a'), factsOf({}, {}, ['g1b'])), []);
  assert.deepEqual(standIns(serverOf('g2a'), factsOf({})), []);
});
