/** Verdicts and choice over real links on loopback, with a rest that is short enough to wait for. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Peer, PeerPool, type PeerPoolOptions } from '../../../../shared/balance/peer-pool.ts';
import { systemClock } from '../../../../shared/clock.ts';
import type { HealthConfig } from '../../../../shared/config/cluster-schema.ts';
import { OUTAGE_HOLD_MS } from '../../../../shared/constants.ts';
import type { Link } from '../../../../shared/link/link.ts';
import { LinkListener } from '../../../../shared/link/link-listener.ts';
import { silentLogger } from '../../../../shared/log.ts';
import { Tick } from '../../../../shared/queue/tick.ts';
import { eventually } from '../../../support/eventually.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FreezingProxy } from '../../../support/freezing-proxy.ts';
import { identity, RecordingOwner, sendText, TEST_SETTINGS } from '../../../support/link-pair.ts';

const HEALTH: HealthConfig = {
  pingEveryMs: 250,
  pongSuspectMs: 60_000,
  pongDeadMs: 120_000,
  consecutiveFailuresMax: 5,
  errorRateMax: 0.4,
  slowRatioMax: 5,
  slowMsMin: 100,
  ejectMs: 300,
};

const listeners: LinkListener[] = [];
const pools: PeerPool[] = [];
after(() => {
  for (const pool of pools) pool.close();
  for (const listener of listeners) listener.close();
});

async function listen(serverId: string): Promise<{ id: string; address: string; listener: LinkListener }> {
  const listener = new LinkListener({
    address: '127.0.0.1:0',
    identity: identity({ role: 'app', serverId }),
    acceptRoles: ['dispatcher'],
    settings: TEST_SETTINGS,
    handlers: { onRequest: () => {} },
    log: silentLogger,
  });
  listeners.push(listener);
  return { id: serverId, address: await listener.listen(), listener };
}

function poolOf(fields: Partial<PeerPoolOptions> = {}): PeerPool {
  const pool = new PeerPool({
    role: 'app',
    identity: identity(),
    settings: TEST_SETTINGS,
    health: HEALTH,
    policy: 'round-robin',
    linksPerPeer: 1,
    log: silentLogger,
    tick: new Tick(systemClock),
    onUsable: () => {},
    ...fields,
  });
  pools.push(pool);
  return pool;
}

async function poolOfTwo(): Promise<{
  pool: PeerPool;
  first: Peer;
  second: Peer;
  servers: { listener: LinkListener }[];
}> {
  const servers = [await listen('a1'), await listen('a2')];
  const pool = poolOf();
  pool.configure(servers);
  await eventually('both work', () => pool.working.length === 2);
  const [first, second] = pool.working as [Peer, Peer];
  return { pool, first, second, servers };
}

function fail(pool: PeerPool, peer: Peer, times: number): void {
  for (let count = 0; count < times; count++) pool.recordReply(peer, true, 1);
}

const stateOf = (pool: PeerPool, peer: Peer): string | undefined =>
  pool.status().find(({ id }) => id === peer.id)?.state;

test('failures in a row eject a peer at once, and it comes back by itself after its rest with a clean sheet', async () => {
  const { pool, first, second } = await poolOfTwo();
  fail(pool, first, 5);
  assert.deepEqual(pool.working, [second]);
  assert.match(
    pool.status().find(({ id }) => id === first.id)?.reason ?? '',
    /ejected: 5 consecutive failures; retry in 1 s/,
  );
  await eventually('it is back', () => pool.working.length === 2);
  assert.equal(first.evidence.consecutiveFailures, 0);
});

test('the last working peer is never ejected, however it fails', async () => {
  const { pool, first, second } = await poolOfTwo();
  fail(pool, first, 5);
  fail(pool, second, 50);
  assert.deepEqual(pool.working, [second]);
});

test('two peers that go bad between two looks are not both ejected', async () => {
  const { pool, first, second } = await poolOfTwo();
  for (const peer of [first, second]) {
    for (let count = 0; count < 40; count++) pool.recordReply(peer, count % 4 !== 0, 1); // never five in a row
  }
  await eventually('one is ejected', () => pool.status().some(({ state }) => state === 'ejected'));
  assert.equal(pool.working.length, 1);
});

test('a retry goes to another peer while there is one', async () => {
  const { pool, first, second } = await poolOfTwo();
  for (let turn = 0; turn < 4; turn++) assert.equal(pool.choose(first), second);
  fail(pool, second, 5);
  assert.equal(pool.choose(first), first);
});

test('a lost link takes even the last peer out, with the reason, and its return brings it back', async () => {
  const { pool, first, second, servers } = await poolOfTwo();
  servers[0]?.listener.close();
  await eventually('one is gone', () => pool.working.length === 1);
  assert.deepEqual([pool.working[0], stateOf(pool, first)], [second, 'down']);
  assert.match(pool.status().find(({ id }) => id === first.id)?.reason ?? '', /^LINK_|connect/);
  servers[1]?.listener.close();
  await eventually('none works', () => pool.working.length === 0);
  assert.equal(pool.choose(), undefined);
});

test('a draining peer gets nothing new, though its link is open', async () => {
  const { pool, first, second, servers } = await poolOfTwo();
  void servers[0]?.listener.announceDrain();
  await eventually('it drains', () => stateOf(pool, first) === 'drain');
  await eventually('only the other one works', () => pool.working.length === 1 && pool.working[0] === second);
});

test('peers that stay keep their links when the list changes, and those that go are closed', async () => {
  const { pool, second, servers } = await poolOfTwo();
  const link = second.link;
  const addresses = pool.status().filter(({ id }) => id === second.id);
  pool.configure(addresses);
  assert.deepEqual([pool.working, second.link], [[second], link]);
  await eventually('the other link is closed', () => servers[0]?.listener.links.length === 0);
});

test('who waits for a usable peer is woken when one comes', async () => {
  let woken = 0;
  const server = await listen('a1');
  const pool = poolOf({ onUsable: () => void woken++ });
  pool.configure([server]);
  assert.equal(woken, 0);
  await eventually('it works', () => pool.working.length === 1);
  assert.ok(woken > 0);
});

test('O7: without a peer one is awaited for OUTAGE_HOLD_MS; then whoever waits is told to look again', () => {
  const clock = new FakeClock();
  let told = 0;
  const pool = poolOf({ clock, onUsable: () => void told++ });
  clock.run(OUTAGE_HOLD_MS - 100);
  assert.deepEqual([pool.awaitsPeer, told], [true, 0]);
  clock.run(200);
  assert.deepEqual([pool.awaitsPeer, told > 0], [false, true]);
});

test('an outage begins anew when the last peer is lost', async () => {
  const clock = new FakeClock();
  const server = await listen('a1');
  const pool = poolOf({ clock });
  clock.run(OUTAGE_HOLD_MS);
  pool.configure([server]);
  await eventually('it works', () => {
    clock.settle(); // links write at the end of a tick
    return pool.working.length === 1;
  });
  assert.equal(pool.awaitsPeer, false);
  server.listener.close();
  await eventually('it is gone', () => pool.working.length === 0);
  assert.equal(pool.awaitsPeer, true);
});

test('several links to one peer are used in turn, and the peer lives while one of them does', async () => {
  const server = await listen('a1');
  const pool = poolOf({ linksPerPeer: 2 });
  pool.configure([server]);
  const peer = await eventually('both links are open', () =>
    pool.working.find(({ openLinks }) => openLinks.length === 2),
  );
  assert.notEqual(peer.link, peer.link);
  peer.openLinks[0]?.close('LINK_CLOSED', 'a test');
  assert.deepEqual([pool.working.length, peer.openLinks.length], [1, 1]);
});

test('a peer that an operator drains gets nothing new and keeps its link; put back, it works again', async () => {
  const { pool, first, second, servers } = await poolOfTwo();
  const addresses = pool.status();
  const link = first.link;
  pool.configure(addresses.map((address) => ({ ...address, takenOut: address.id === first.id ? 'drain' : undefined })));
  assert.deepEqual([pool.working, stateOf(pool, first), first.link], [[second], 'drain', link]);
  pool.configure(addresses);
  assert.deepEqual([pool.working, first.link], [[first, second], link]);
  assert.equal(servers.length, 2);
});

test('a peer in maintenance loses its link, and what was out to it, at once; put back, it is dialed again', async () => {
  const { pool, first, second } = await poolOfTwo();
  const addresses = pool.status();
  const owner = new RecordingOwner();
  sendText(first.link as Link, owner, 'a request');
  pool.configure(addresses.map((address) => ({ ...address, takenOut: address.id === first.id ? 'maint' : undefined })));
  assert.deepEqual([pool.working, stateOf(pool, first), first.openLinks], [[second], 'maint', []]);
  assert.deepEqual(owner.heard, [{ kind: 'lost', text: 'LINK_CLOSED' }]);
  pool.configure(addresses);
  await eventually('it is back', () => pool.working.length === 2);
});

test('both may be taken out: an operator’s word counts, also for the last one', async () => {
  const { pool } = await poolOfTwo();
  pool.configure(pool.status().map((address) => ({ ...address, takenOut: 'drain' as const })));
  assert.deepEqual(pool.working, []);
});

test('a peer that falls silent loses what was out to it, and keeps its link and its good name', async () => {
  const [silent, other] = [await listen('a1'), await listen('a2')];
  const proxy = await FreezingProxy.listen(silent.address);
  try {
    const pool = poolOf({
      settings: { ...TEST_SETTINGS, pingEveryMs: 20 },
      health: { ...HEALTH, pongSuspectMs: 200 },
    });
    pool.configure([{ id: 'a1', address: proxy.address }, other]);
    await eventually('both work', () => pool.working.length === 2);
    const peer = pool.working.find(({ id }) => id === 'a1') as Peer;
    const owner = new RecordingOwner();
    proxy.freeze();
    sendText(peer.link as Link, owner, 'a request');
    await eventually('it is suspect', () => stateOf(pool, peer) === 'suspect');
    assert.deepEqual(owner.heard, [{ kind: 'lost', text: 'LINK_PEER_SILENT' }]);
    assert.deepEqual([peer.openLinks.length, peer.inFlight, peer.evidence.replies], [1, 0, 0]);
    assert.match(peer.verdict.reason, /^silent for \d+ ms \(limit 200 ms\)$/);
  } finally {
    proxy.close();
  }
});

test('the last peer is left alone when it falls silent, and what was out to it too', async () => {
  const silent = await listen('a1');
  const proxy = await FreezingProxy.listen(silent.address);
  try {
    const pool = poolOf({ settings: { ...TEST_SETTINGS, pingEveryMs: 20 }, health: { ...HEALTH, pongSuspectMs: 100 } });
    pool.configure([{ id: 'a1', address: proxy.address }]);
    await eventually('it works', () => pool.working.length === 1);
    const peer = pool.working[0] as Peer;
    const owner = new RecordingOwner();
    proxy.freeze();
    sendText(peer.link as Link, owner, 'a request');
    await eventually('its silence is seen', () => /silent.*the last one/.test(peer.verdict.reason));
    assert.deepEqual([pool.working, owner.heard], [[peer], []]);
  } finally {
    proxy.close();
  }
});

test('when the only other peer falls silent, one that rests is back before its time', async () => {
  const [silent, other] = [await listen('a1'), await listen('a2')];
  const proxy = await FreezingProxy.listen(silent.address);
  try {
    const health = { ...HEALTH, pongSuspectMs: 200, ejectMs: 60_000 };
    const pool = poolOf({ settings: { ...TEST_SETTINGS, pingEveryMs: 20 }, health });
    pool.configure([{ id: 'a1', address: proxy.address }, other]);
    await eventually('both work', () => pool.working.length === 2);
    const [first, second] = pool.working as [Peer, Peer];
    fail(pool, second, 5);
    assert.equal(stateOf(pool, second), 'ejected');
    proxy.freeze();
    await eventually('they have changed places', () => pool.working.length === 1 && pool.working[0] === second);
    assert.equal(stateOf(pool, first), 'suspect');
  } finally {
    proxy.close();
  }
});
