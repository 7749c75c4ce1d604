import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerStatus } from '../../../shared/balance/peer-pool.ts';
import { fitsLoadReport } from '../../../shared/coordination-messages.ts';
import { PEERS_REPORTED_MAX, peersWithoutRequests, readMemberLoad } from '../../../shared/member-load.ts';

function peer(id: string, state: PeerStatus['state'], inFlight = 0): PeerStatus {
  return { id, state, inFlight, address: '127.0.0.1:1', reason: '', latencyMs: 0, errorRate: 0, queueDepth: 0 };
}

test('only peers that get no requests are named', () => {
  const peers = [peer('g1a', 'ready', 5), peer('g1b', 'drain', 3), peer('g2a', 'down')];
  assert.deepEqual(peersWithoutRequests(peers), {
    g1b: { state: 'drain', inFlight: 3 },
    g2a: { state: 'down', inFlight: 0 },
  });
});

test('a report of the most peers fits, and those taken out are always in it', () => {
  const long = (index: number): string => `${'a'.repeat(28)}${String(index).padStart(4, '0')}`;
  const peers = Array.from({ length: 5_000 }, (_, index) => peer(long(index), 'suspect', 16_384));
  peers.push(peer('g1a', 'maint'), peer('g1b', 'drain'));
  const reported = peersWithoutRequests(peers);
  assert.equal(Object.keys(reported).length, PEERS_REPORTED_MAX);
  assert.ok('g1a' in reported && 'g1b' in reported);
  const load = { epoch: 2 ** 48, ready: false, inFlight: 60_000, connections: 60_000, peers: reported };
  assert.ok(fitsLoadReport(load));
  assert.deepEqual(readMemberLoad(load), load);
});

test('whatever else a server reports is no load', () => {
  for (const load of [undefined, null, 0, '', [], {}, { epoch: -1 }, { omitted: 'too large' }])
    assert.equal(readMemberLoad(load), undefined);
});
