import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { PlatformError } from '../../../../shared/errors.ts';
import type { ParkSession } from '../../../../shared/park/park.ts';
import { ParkClient } from '../../../../shared/park/park-client.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { ScriptedChannel } from '../../../support/scripted-channel.ts';

const TTL_MS = 900;
const ID = 'b'.repeat(32);

let clock: ManualClock;
let channel: ScriptedChannel;
let client: ParkClient;
let lost: string[];

beforeEach(() => {
  clock = new ManualClock();
  channel = new ScriptedChannel();
  client = new ParkClient({ channel, name: 'holder', clock, sessionTtlMs: TTL_MS, callTimeoutMs: 2_000 });
  client.start();
  lost = [];
});

async function turn(): Promise<void> {
  for (let times = 0; times < 5; times++) await Promise.resolve();
}

/** A session that was opened at once. */
async function opened(id = ID): Promise<ParkSession> {
  if (!channel.up) channel.goUp();
  const asked = client.session();
  channel.answer(channel.next('open-session'), { id, ttlMs: TTL_MS });
  const session = await asked;
  session.onLost(() => lost.push(id));
  return session;
}

function renew(): void {
  channel.answer(channel.next('renew-session'), { ttlMs: TTL_MS });
}

test('a session is opened when it is asked for, once for all who ask', async () => {
  const early = client.session();
  channel.goUp();
  const later = client.session();
  assert.deepEqual(channel.next('open-session').request, { op: 'open-session', name: 'holder', ttlMs: TTL_MS });
  assert.equal(channel.asks.length, 1);
  channel.answer(channel.next('open-session'), { id: ID, ttlMs: TTL_MS });
  assert.equal(await early, await later);
  assert.equal((await early).name, 'holder');
});

test('its time counts from when the opening and each renewal were sent, and an old answer does not shorten it', async () => {
  channel.goUp();
  const asked = client.session();
  const sentAtMs = clock.nowMs();
  clock.advance(100);
  channel.answer(channel.next('open-session'), { id: ID, ttlMs: TTL_MS });
  const session = await asked;
  assert.equal(session.aliveUntilMs, sentAtMs + TTL_MS);
  clock.advance(TTL_MS / 3);
  const first = channel.next('renew-session');
  const firstAtMs = clock.nowMs();
  clock.advance(TTL_MS / 3);
  const second = channel.pending('renew-session')[1];
  assert.ok(second !== undefined);
  channel.answer(second, { ttlMs: TTL_MS });
  assert.equal(session.aliveUntilMs, firstAtMs + TTL_MS / 3 + TTL_MS);
  channel.answer(first, { ttlMs: TTL_MS });
  assert.equal(session.aliveUntilMs, firstAtMs + TTL_MS / 3 + TTL_MS);
});

test('a session that nobody renews is lost when its time is up, once, and then ended at the coordinator', async () => {
  const session = await opened();
  clock.advance(TTL_MS - 1);
  assert.deepEqual(lost, []);
  clock.advance(1);
  assert.deepEqual(lost, [ID]);
  assert.ok(session.aliveUntilMs < clock.nowMs());
  assert.deepEqual(channel.next('end-session').request, { op: 'end-session', id: ID });
  session.onLost(() => lost.push('late'));
  clock.advance(TTL_MS * 5);
  assert.deepEqual(lost, [ID, 'late']);
});

test('a renewed session goes on for as long as it is renewed', async () => {
  const session = await opened();
  for (let times = 0; times < 10; times++) {
    clock.advance(TTL_MS / 3);
    renew();
  }
  assert.deepEqual(lost, []);
  assert.equal(session.aliveUntilMs, clock.nowMs() + TTL_MS);
});

test('over a new connection it is told first, and writes come right behind it', async () => {
  await opened();
  channel.goDown();
  const write = client.put('d', 'n', 1);
  clock.advance(200);
  const before = channel.asks.length;
  channel.goUp();
  assert.deepEqual(
    channel.asks.slice(before).map(({ request }) => request.op),
    ['renew-session', 'write'],
  );
  renew();
  channel.answer(channel.next('write'), { revision: 2, nodes: ['n'], versions: [1] });
  await write;
  clock.advance(TTL_MS / 3);
  renew();
  assert.deepEqual(lost, []);
});

test('a connection away for longer than its time loses it; what is written then opens another', async () => {
  await opened();
  channel.goDown();
  clock.advance(TTL_MS);
  assert.deepEqual(lost, [ID]);
  const write = client.put('d', 'n', 1);
  channel.goUp();
  assert.equal(channel.pending('write').length, 0);
  assert.deepEqual(channel.next('end-session').request, { op: 'end-session', id: ID });
  channel.answer(channel.next('open-session'), { id: 'c'.repeat(32), ttlMs: TTL_MS });
  channel.answer(channel.next('write'), { revision: 2, nodes: ['n'], versions: [1] });
  await write;
});

test('the coordinator says that it has ended: it is lost, whether a renewal or a write heard it', async () => {
  await opened();
  clock.advance(TTL_MS / 3);
  channel.fail(channel.next('renew-session'), new PlatformError('PARK_SESSION_UNKNOWN', 'it has ended'));
  assert.deepEqual(lost, [ID]);
  const second = 'd'.repeat(32);
  await opened(second);
  const write = client.put('d', 'n', 1);
  channel.fail(channel.next('write'), new PlatformError('PARK_SESSION_UNKNOWN', 'it has ended'));
  await assert.rejects(write, { code: 'PARK_SESSION_UNKNOWN' });
  assert.deepEqual(lost, [ID, second]);
});

test('a coordinator that takes writes and answers no renewals is doubted in time to renew elsewhere', async () => {
  const session = await opened();
  clock.advance(TTL_MS / 3);
  renew();
  clock.advance((TTL_MS / 6) * 5 - 1);
  assert.deepEqual(channel.doubts, [], 'what was answered casts no doubt');
  clock.advance(2);
  assert.equal(channel.doubts.length, 1);
  assert.ok(session.aliveUntilMs - clock.nowMs() > TTL_MS / 8, 'there is time to renew it elsewhere');
});

test('no session to be had fails what waits for it, and the next one asks again', async () => {
  channel.goUp();
  const waiting = [client.session(), client.put('d', 'n', 1)];
  channel.fail(channel.next('open-session'), new PlatformError('PARK_LIMIT', 'expected at most 20,000 sessions'));
  for (const one of waiting) await assert.rejects(one, { code: 'PARK_LIMIT' });
  await opened();
});

test('an opening that is cut off is done again over the next connection', async () => {
  channel.goUp();
  const asked = client.session();
  channel.goDown();
  channel.goUp();
  channel.answer(channel.next('open-session'), { id: ID, ttlMs: TTL_MS });
  assert.equal((await asked).name, 'holder');
});

test('nobody there: asking for a session ends in time', async () => {
  const asked = client.session();
  clock.advance(2_000);
  await assert.rejects(asked, { code: 'NO_COORDINATOR' });
});

test('a listener that throws keeps nobody from hearing of the loss', async () => {
  const session = await opened();
  session.onLost(() => {
    throw new Error('listener');
  });
  session.onLost(() => lost.push('second'));
  clock.advance(TTL_MS);
  assert.deepEqual(lost, [ID, 'second']);
  await turn();
});

test('closing ends the session at the coordinator', async () => {
  await opened();
  client.close();
  assert.deepEqual(channel.next('end-session').request, { op: 'end-session', id: ID });
  assert.deepEqual(lost, [ID]);
});
