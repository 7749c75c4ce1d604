/** Calls of a client against a channel the test plays: what is sent when, and what the caller hears. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, PlatformError } from '../../../../shared/errors.ts';
import { LEAVE_MS_MAX, PARK_CALLS_MAX } from '../../../../shared/park/park-calls.ts';
import { CLIENT_WATCHES_MAX, ParkClient } from '../../../../shared/park/park-client.ts';
import type { ParkRequest } from '../../../../shared/park/park-protocol.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { fewerRuns } from '../../../support/property-runs.ts';
import { ScriptedChannel } from '../../../support/scripted-channel.ts';

const TIMEOUT_MS = 5_000;
const SESSION = { id: 'a'.repeat(32), ttlMs: 1_000 };
const DONE = { revision: 7, nodes: ['n'], versions: [1] };

let clock: ManualClock;
let channel: ScriptedChannel;
let client: ParkClient;

beforeEach(() => {
  clock = new ManualClock();
  channel = new ScriptedChannel();
  channel.auto = sessionAnswers;
  client = new ParkClient({ channel, name: 'test', clock, callTimeoutMs: TIMEOUT_MS, sessionTtlMs: 1_000 });
  client.start();
});

function sessionAnswers(request: ParkRequest): unknown {
  if (request.op === 'open-session') return SESSION;
  return request.op === 'renew-session' ? { ttlMs: SESSION.ttlMs } : undefined;
}

/** Lets promises run. */
async function turn(): Promise<void> {
  for (let times = 0; times < 5; times++) await Promise.resolve();
}

/** How a call ended. */
function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (value) => value,
    (error: PlatformError) => error.code,
  );
}

async function up(): Promise<void> {
  channel.goUp();
  await turn();
}

const written = (): ParkRequest[] => channel.asks.map(({ request }) => request).filter(({ op }) => op === 'write');

describe('calls', () => {
  test('a value travels as JSON, and an entry comes back as a value', async () => {
    await up();
    const put = client.put('d', 'n', { a: [1, 'ü'] });
    await turn();
    assert.deepEqual(written(), [
      {
        op: 'write',
        checks: undefined,
        force: undefined,
        writes: [
          {
            op: 'put',
            domain: 'd',
            node: 'n',
            value: '{"a":[1,"ü"]}',
            ifVersion: undefined,
            access: undefined,
            ttlMs: undefined,
          },
        ],
      },
    ]);
    channel.answer(channel.next('write'), DONE);
    assert.deepEqual(await put, { node: 'n', version: 1, revision: 7 });
    const get = client.get('d', 'n');
    const node = { domain: 'd', node: 'n', version: 1, createRevision: 7, modRevision: 7, access: 'all' };
    channel.answer(channel.next('get'), {
      revision: 9,
      node: { ...node, value: '{"a":1}', ephemeral: false, owner: '' },
    });
    assert.deepEqual(await get, { ...node, value: { a: 1 }, ephemeral: false, owner: '' });
  });

  test('are sent in order without waiting for each other, the first write behind the session it opens', async () => {
    channel.auto = () => undefined;
    const calls = [client.put('d', 'a', 1), client.get('d', 'a'), client.update('d', 'a', 2)].map(outcomeOf);
    await up();
    assert.deepEqual(
      channel.asks.map(({ request }) => request.op),
      ['open-session'],
    );
    channel.answer(channel.next('open-session'), SESSION);
    assert.deepEqual(
      channel.asks.map(({ request }) => request.op),
      ['open-session', 'write', 'get', 'write'],
    );
    client.close();
    assert.deepEqual(await Promise.all(calls), ['OUTCOME_UNKNOWN', 'NO_COORDINATOR', 'OUTCOME_UNKNOWN']);
  });

  test('nothing sent in time is NO_COORDINATOR; a write without an answer OUTCOME_UNKNOWN', async () => {
    const before = [client.put('d', 'a', 1), client.get('d', 'a')].map(outcomeOf);
    clock.advance(TIMEOUT_MS + 100);
    assert.deepEqual(await Promise.all(before), ['NO_COORDINATOR', 'NO_COORDINATOR']);
    await up();
    const after = [client.put('d', 'a', 1), client.get('d', 'a')].map(outcomeOf);
    await turn();
    clock.advance(TIMEOUT_MS + 100);
    assert.deepEqual(await Promise.all(after), ['OUTCOME_UNKNOWN', 'NO_COORDINATOR']);
    assert.equal(
      channel.asks.filter(({ cancelled, request }) => cancelled && request.op !== 'renew-session').length,
      2,
    );
    assert.equal(client.callsOpen, 0);
  });

  test('a cut connection: reads are asked again on the next one, writes are not', async () => {
    await up();
    const [write, read] = [outcomeOf(client.put('d', 'a', 1)), client.get('d', 'a')];
    await turn();
    channel.goDown();
    assert.equal(await write, 'OUTCOME_UNKNOWN');
    await up();
    channel.answer(channel.next('get'), { revision: 3 });
    assert.equal(await read, undefined);
    assert.equal(written().length, 1);
  });

  test('a coordinator that does not serve is left once all has been answered, and what it refused is sent again', async () => {
    await up();
    const calls = [client.put('d', 'a', 1), client.put('d', 'b', 2), client.get('d', 'a')];
    await turn();
    const [first, second] = channel.pending('write');
    assert.ok(first !== undefined && second !== undefined);
    channel.fail(first, new PlatformError('NOT_LEADER', 'it is another one'));
    assert.deepEqual(channel.refusals, []);
    const third = client.put('d', 'c', 3);
    await turn();
    assert.equal(channel.pending('write').length, 1, 'nothing more is sent to it');
    channel.fail(second, new PlatformError('COORDINATOR_FENCED', 'it was replaced'));
    channel.answer(channel.next('get'), { revision: 3 });
    assert.equal(channel.refusals.length, 1);
    await up();
    const domains = channel.pending('write').map(({ request }) => request.op === 'write' && request.writes[0]);
    assert.deepEqual(
      domains.map((write) => write !== false && write !== undefined && 'node' in write && write.node),
      ['a', 'b', 'c'],
    );
    for (const ask of channel.pending('write')) channel.answer(ask, DONE);
    await Promise.all([...calls, third]);
  });

  test('a coordinator that does not serve and leaves something unanswered is left all the same', async () => {
    await up();
    const calls = [client.put('d', 'a', 1), client.put('d', 'b', 2)].map(outcomeOf);
    await turn();
    channel.fail(channel.next('write'), new PlatformError('NOT_LEADER', 'it is another one'));
    clock.advance(LEAVE_MS_MAX);
    assert.equal(channel.refusals.length, 1);
    assert.equal(await calls[1], 'OUTCOME_UNKNOWN');
    client.close();
    assert.equal(await calls[0], 'NO_COORDINATOR', 'it was refused, so it did not happen');
  });

  test('a refusal is told as it is', async () => {
    await up();
    const call = client.update('d', 'a', 1, { ifVersion: 3 });
    await turn();
    channel.fail(channel.next('write'), new PlatformError('PARK_VERSION_CONFLICT', 'it has version 4'));
    await assert.rejects(call, { code: 'PARK_VERSION_CONFLICT', detail: 'it has version 4' });
  });

  test('without room calls wait, and go when there is some', async () => {
    await up();
    channel.room = false;
    const call = client.get('d', 'a');
    assert.equal(channel.pending('get').length, 0);
    channel.room = true;
    channel.listener.onRoom();
    channel.answer(channel.next('get'), { revision: 1 });
    assert.equal(await call, undefined);
  });

  test('more than PARK_CALLS_MAX at once are refused, and there is room again when some have ended', async () => {
    const calls = Array.from({ length: PARK_CALLS_MAX }, () => outcomeOf(client.get('d', 'a')));
    await assert.rejects(client.get('d', 'a'), { code: 'QUEUE_FULL' });
    clock.advance(TIMEOUT_MS + 100);
    assert.equal(new Set(await Promise.all(calls)).size, 1);
    await up();
    const call = client.get('d', 'a');
    channel.answer(channel.next('get'), { revision: 1 });
    await call;
  });

  test('an answer of another shape fails a read, and leaves a write in doubt', async () => {
    await up();
    const calls = [client.put('d', 'a', 1), client.get('d', 'a')].map(outcomeOf);
    await turn();
    channel.answer(channel.next('write'), { revision: 'x' });
    channel.answer(channel.next('get'), undefined);
    assert.deepEqual(await Promise.all(calls), ['OUTCOME_UNKNOWN', 'LINK_FRAME_INVALID']);
  });

  test('what JSON cannot hold, and a put that is ephemeral, are refused before they are sent', async () => {
    await up();
    for (const value of [undefined, 5n, () => 1])
      await assert.rejects(client.put('d', 'a', value), { code: 'PARK_REQUEST_INVALID' });
    await assert.rejects(client.put('d', 'a', 1, { ephemeral: true }), { code: 'PARK_REQUEST_INVALID' });
    assert.deepEqual(written(), []);
  });

  test('a large domain is read part by part, as of the revision of the first', async () => {
    await up();
    const call = client.getLatestDomain('d', 0);
    const node = { domain: 'd', version: 1, createRevision: 7, modRevision: 7, access: 'all' };
    const full = (name: string): unknown => ({ ...node, node: name, value: '1', ephemeral: false, owner: '' });
    channel.answer(channel.next('list'), { revision: 8, nodes: [full('a')], next: 'a' });
    await turn();
    assert.deepEqual(channel.next('list').request, { op: 'list', domain: 'd', after: 'a', seen: 0 });
    channel.answer(channel.next('list'), { revision: 9, nodes: [full('b')], next: '' });
    const read = await call;
    assert.deepEqual([read?.revision, read?.entries.map((entry) => entry.node)], [8, ['a', 'b']]);
  });

  test('a name that no domain can have, and watches past the bound, are refused at once', () => {
    assert.throws(() => client.watch('no name', () => {}), { code: 'PARK_REQUEST_INVALID' });
    for (let count = 0; count < CLIENT_WATCHES_MAX; count++) client.watch('d', () => {});
    assert.throws(() => client.watch('d', () => {}), { code: 'PARK_LIMIT' });
  });

  test('after close nothing is left behind', async () => {
    await up();
    const call = outcomeOf(client.get('d', 'a'));
    await client.session();
    client.watch('d', () => {});
    client.close();
    client.close();
    assert.equal(await call, 'NO_COORDINATOR');
    await assert.rejects(client.get('d', 'a'), { code: 'NO_COORDINATOR' });
    assert.deepEqual([channel.closed, channel.pending('end-session').length], [true, 1]);
    clock.advance(60_000);
    assert.equal(clock.pendingTimers, 0);
  });
});

type Happening =
  | { readonly kind: 'call'; readonly write: boolean }
  | { readonly kind: 'answered'; readonly how: 'answer' | 'refuse' | 'elsewhere'; readonly which: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'room'; readonly open: boolean }
  | { readonly kind: 'pass'; readonly ms: number };

const which = fc.nat(50);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 4, arbitrary: fc.boolean().map((write): Happening => ({ kind: 'call', write })) },
  { weight: 4, arbitrary: which.map((at): Happening => ({ kind: 'answered', how: 'answer', which: at })) },
  { weight: 1, arbitrary: which.map((at): Happening => ({ kind: 'answered', how: 'refuse', which: at })) },
  { weight: 1, arbitrary: which.map((at): Happening => ({ kind: 'answered', how: 'elsewhere', which: at })) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'cut' }) },
  { weight: 1, arbitrary: fc.boolean().map((open): Happening => ({ kind: 'room', open })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3_000 }).map((ms): Happening => ({ kind: 'pass', ms })) },
);

/** What a play came to. */
interface Played {
  readonly made: number;
  readonly outcomes: readonly unknown[];
  /** Times each write was sent and not refused as not served there. */
  readonly tries: ReadonlyMap<string, number>;
}

async function play(happenings: readonly Happening[]): Promise<Played> {
  const wire = new ScriptedChannel();
  const time = new ManualClock();
  wire.auto = sessionAnswers;
  const subject = new ParkClient({ channel: wire, name: 'test', clock: time, callTimeoutMs: TIMEOUT_MS });
  subject.start();
  wire.goUp();
  const calls: Promise<unknown>[] = [];
  const notServed = new Set<unknown>();
  const answer = ({ how, which: at }: Happening & { kind: 'answered' }): void => {
    const waiting = [...wire.pending('write'), ...wire.pending('get')];
    const ask = waiting[at % Math.max(1, waiting.length)];
    if (ask === undefined) return;
    const code: ErrorCode = how === 'refuse' ? 'PARK_NODE_EXISTS' : 'NOT_LEADER';
    if (how === 'answer') wire.answer(ask, ask.request.op === 'write' ? DONE : { revision: 1 });
    else wire.fail(ask, new PlatformError(code, 'no'));
    if (how === 'elsewhere') notServed.add(ask);
  };
  for (const one of happenings) {
    if (one.kind === 'call')
      calls.push(outcomeOf(one.write ? subject.put('d', `n${calls.length}`, 1) : subject.get('d', `n${calls.length}`)));
    else if (one.kind === 'pass') time.advance(one.ms);
    else if (one.kind === 'room') wire.room = one.open;
    else if (one.kind === 'answered') answer(one);
    else if (wire.up) wire.goDown();
    await turn();
    if (!wire.up && one.kind === 'pass') wire.goUp();
    if (wire.room && wire.up) wire.listener.onRoom();
  }
  time.advance(TIMEOUT_MS * 2);
  const outcomes = await Promise.all(calls);
  subject.close();
  const tries = new Map<string, number>();
  for (const ask of wire.asks) {
    if (ask.request.op !== 'write' || notServed.has(ask)) continue;
    const key = JSON.stringify(ask.request.writes);
    tries.set(key, (tries.get(key) ?? 0) + 1);
  }
  return { made: calls.length, outcomes, tries };
}

test('whatever is answered, refused and cut, in whatever order: every call ends, and no write is sent twice', async () => {
  const seen = new Set<unknown>();
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (happenings) => {
      const { made, outcomes, tries } = await play(happenings);
      assert.equal(outcomes.length, made);
      for (const outcome of outcomes) seen.add(typeof outcome === 'string' ? outcome : 'done');
      for (const [writes, times] of tries) assert.equal(times, 1, `sent ${times} times: ${writes}`);
    }),
    fewerRuns(10),
  );
  for (const outcome of ['done', 'OUTCOME_UNKNOWN', 'NO_COORDINATOR', 'PARK_NODE_EXISTS'])
    assert.ok(seen.has(outcome), outcome);
});
