import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountKeyOf,
  headerBlockOf,
  remainingMsOf,
  requestBodyAt,
  requestIdOf,
  targetOf,
} from '../../../shared/envelope.ts';
import type { PublishedState } from '../../../shared/published-state.ts';
import { timeForNextHop } from '../../../shared/time-for-next-hop.ts';
import { FakeResponse, fakeRequest, type RequestLine } from '../../support/fake-web.ts';
import { InterfaceBench as Bench, INCARNATION } from '../../support/interface-bench.ts';

const codeOf = (response: FakeResponse): unknown => [response.status, response.json['code'], response.json['outcome']];

const oneAtATime = ({ config }: PublishedState): unknown =>
  Object.assign(config.queues, {
    interactive: { weight: 1, capacity: 9, capacityBytes: 99_999, waitMsMax: 1_000, concurrency: 1 },
  });

test('a request is carried to a dispatcher and its reply to the client', () => {
  const bench = new Bench().map();
  const headers = [['x-request-id', 'mine']] as const;
  const response = bench.ask({ method: 'GET', target: '/accounts/a%20b?x=1', headers });
  const { message, start } = bench.holder.has.server.taken[0] ?? assert.fail('expected a dispatcher to have it');
  assert.deepEqual(
    [
      accountKeyOf(message, start),
      targetOf(message, start),
      headerBlockOf(message, start),
      remainingMsOf(message, start),
    ],
    ['a b', '/accounts/a%20b?x=1', 'x-request-id:mine\n', timeForNextHop(10_000)],
  );
  bench.reply('hello');
  assert.deepEqual([response.status, response.body?.toString(), response.ends], [200, 'hello', 1]);
  assert.equal(response.header('x-request-id'), requestIdOf(message, start));
  bench.assertAtRest();
});

test('I2: every request gets an id of its own, whatever the client calls it', () => {
  const bench = new Bench().map();
  const ids = new Set<string>();
  for (let count = 0; count < 3; count++) {
    const response = bench.ask({ headers: [['x-request-id', 'same']] });
    bench.reply('x');
    ids.add(response.header('x-request-id') ?? '');
  }
  assert.equal(ids.size, 3);
  for (const id of ids) assert.match(id, new RegExp(`^${INCARNATION}[0-9a-f]{16}$`));
});

test('before the routes are known no path is called unknown', () => {
  const bench = new Bench();
  assert.deepEqual(codeOf(bench.ask()), [503, 'NOT_READY', undefined]);
  bench.pipeline.applyState({ ...bench.state, routes: [] });
  assert.deepEqual(codeOf(bench.ask()), [503, 'NOT_READY', undefined]);
  bench.assertAtRest();
});

const REFUSED: Record<string, readonly [RequestLine, status: number, code: string]> = {
  'a path without a route': [{ target: '/nowhere' }, 404, 'ROUTE_UNKNOWN'],
  'a path that does not decode': [{ target: '/accounts/%ff' }, 400, 'REQUEST_INVALID'],
  'another method': [{ method: 'DELETE', target: '/accounts/a' }, 405, 'METHOD_NOT_ALLOWED'],
  'a body of another type': [
    {
      method: 'POST',
      target: '/json',
      headers: [
        ['content-length', '1'],
        ['content-type', 'text/plain'],
      ],
    },
    415,
    'CONTENT_TYPE_UNSUPPORTED',
  ],
  'a body without a type': [
    { method: 'POST', target: '/json', headers: [['content-length', '1']] },
    415,
    'CONTENT_TYPE_UNSUPPORTED',
  ],
  'a body too large by its own word': [
    { method: 'POST', headers: [['content-length', '9999999']] },
    413,
    'BODY_TOO_LARGE',
  ],
};
for (const [what, [line, status, code]] of Object.entries(REFUSED)) {
  test(`${what} is answered with ${status} and goes no further`, () => {
    const bench = new Bench().map();
    const response = bench.ask(line);
    assert.deepEqual(codeOf(response), [status, code, undefined]);
    assert.deepEqual([bench.d1.server.taken.length, bench.d2.server.taken.length], [0, 0]);
    if (status === 405) assert.equal(response.header('allow'), 'GET, HEAD, PUT');
    bench.assertAtRest();
  });
}

test('an ambiguous request is cut off without a byte of answer', () => {
  const bench = new Bench().map();
  const response = bench.ask({
    headers: [
      ['content-length', '1'],
      ['content-length', '2'],
    ],
  });
  assert.deepEqual([response.cut, response.ends, response.head], [true, 0, '']);
  bench.assertAtRest();
});

test('a content type is compared without its parameters and without regard to case', () => {
  const bench = new Bench().map();
  const headers = [
    ['content-length', '2'],
    ['content-type', 'Application/JSON; charset=utf-8'],
  ] as const;
  assert.ok(bench.ask({ method: 'POST', target: '/json', headers }).reading);
});

test('a body that comes in parts is carried whole', () => {
  const bench = new Bench().map();
  const response = bench.ask({ method: 'POST', headers: [['transfer-encoding', 'chunked']] });
  response.data('one ', false);
  response.data('two', true);
  bench.settle();
  const { message, start, end } = bench.holder.has.server.taken[0] ?? assert.fail();
  assert.equal(message.toString('utf8', requestBodyAt(message, start), end), 'one two');
  bench.reply('ok');
  assert.deepEqual([response.status, response.closesConnection], [200, true], 'nothing behind a chunked body is read');
  bench.assertAtRest();
});

test('a chunked request that is refused before its body keeps its connection from being read on', () => {
  const bench = new Bench().map();
  const response = bench.ask({ method: 'POST', target: '/nowhere', headers: [['transfer-encoding', 'chunked']] });
  assert.deepEqual([codeOf(response), response.lingers], [[404, 'ROUTE_UNKNOWN', undefined], true]);
  bench.pass(1_100);
  assert.ok(response.cut);
  bench.assertAtRest();
});

test('what is answered without a body to read is let in by the same rules', () => {
  const bench = new Bench().map();
  const letIn = (line: RequestLine): FakeResponse => {
    const response = new FakeResponse();
    if (bench.pipeline.admitsBodiless(response.web, fakeRequest(line))) response.end('a page');
    return response;
  };
  assert.equal(letIn({ target: '/-/health' }).body?.toString(), 'a page');
  assert.ok(letIn({ target: '/-/health', headers: [['content-length', '1, 1']] }).cut);
  const withBody = letIn({ target: '/-/health', headers: [['content-length', '1']] });
  assert.deepEqual([codeOf(withBody), withBody.lingers], [[400, 'REQUEST_INVALID', undefined], true]);
  bench.assertAtRest();
});

test('a body that grows past the limit is refused once, and the connection closed', () => {
  const bench = new Bench(({ config }) => Object.assign(config.limits, { bodyBytesMax: 3 })).map();
  const response = bench.ask({ method: 'POST', headers: [['transfer-encoding', 'chunked']] });
  for (const last of [false, false, true]) response.data('xx', last);
  assert.deepEqual([codeOf(response), response.closesConnection], [[413, 'BODY_TOO_LARGE', undefined], true]);
  bench.assertAtRest();
});

test('a client that stops in the middle of its body is cut off in time, and one that goes on is not', () => {
  const bench = new Bench(({ config }) => Object.assign(config.limits, { slowClientMs: 1_000 })).map();
  const post: RequestLine = { method: 'POST', headers: [['content-length', '64000']] };
  const [stopped, slow] = [bench.ask(post), bench.ask(post)];
  slow.data('x'.repeat(32_000), false);
  bench.pass(1_100);
  assert.deepEqual([codeOf(stopped), stopped.closesConnection], [[408, 'CLIENT_TOO_SLOW', undefined], true]);
  assert.equal(slow.ends, 0);
  slow.data('x'.repeat(32_000), true);
  bench.settle();
  bench.reply('ok');
  assert.equal(slow.status, 200);
  stopped.data('more', true);
  assert.equal(stopped.ends, 1, 'X1');
  bench.assertAtRest();
});

test('X1: a client that was too slow and then sends too much gets no second answer', () => {
  const bench = new Bench(({ config }) => Object.assign(config.limits, { slowClientMs: 1_000, bodyBytesMax: 3 })).map();
  const response = bench.ask({ method: 'POST', headers: [['transfer-encoding', 'chunked']] });
  bench.pass(1_100);
  response.data('too much', true);
  assert.deepEqual(codeOf(response), [408, 'CLIENT_TOO_SLOW', undefined]);
  bench.assertAtRest();
});

test('I3: a request whose dispatcher is lost goes to the other one, and is answered once', () => {
  const bench = new Bench().map();
  const response = bench.ask();
  const { has, other } = bench.holder;
  const id = requestIdOf(has.server.taken[0]?.message as Buffer, 0);
  has.lose();
  bench.settle();
  const again = other.server.taken[0] ?? assert.fail('expected the other dispatcher to be asked');
  assert.deepEqual([requestIdOf(again.message, again.start), again.message[again.start + 38]], [id, 1]);
  other.server.reply(0, 'from the other');
  bench.settle();
  assert.deepEqual([response.body?.toString(), response.ends], ['from the other', 1]);
  assert.deepEqual(bench.pool.evidence, [`${has.peer.id} failed`, `${other.peer.id} ok`]);
  bench.assertAtRest();
});

test('I3: when it cannot be sent again, the client learns that the outcome is unknown', () => {
  const changes: ((state: PublishedState) => void)[] = [
    ({ config }) => Object.assign(config.retries, { attemptsMax: 1 }),
    ({ config }) => Object.assign(config.retries, { budgetRatio: 0 }),
  ];
  for (const change of changes) {
    const bench = new Bench(change).map();
    const response = bench.ask();
    bench.holder.has.lose();
    bench.settle();
    assert.deepEqual(codeOf(response), [503, 'LINK_LOST', 'unknown']);
    bench.assertAtRest();
  }
});

test('a request that was lost once and then finds no dispatcher may have had its effect, and one that was not has none', () => {
  const bench = new Bench().map();
  const response = bench.ask();
  bench.d1.lose();
  bench.d2.lose();
  bench.settle();
  assert.deepEqual(codeOf(response), [503, 'NO_DISPATCHER', 'unknown']);
  assert.deepEqual(codeOf(bench.ask()), [503, 'NO_DISPATCHER', undefined]);
  bench.assertAtRest();
});

test('while the outage of all dispatchers is young requests wait, and go on with the first that is back', () => {
  const bench = new Bench().map();
  bench.pool.awaitsPeer = true;
  const lost = bench.ask();
  const { has, other } = bench.holder;
  other.peer.working = false;
  has.lose();
  bench.settle();
  const response = bench.ask();
  assert.deepEqual([lost.ends, response.ends], [0, 0]);
  other.peer.working = true;
  bench.pipeline.scanner.wake();
  bench.settle();
  assert.equal(other.server.taken.length, 2);
  other.server.reply(0, 'one');
  other.server.reply(1, 'two');
  bench.settle();
  assert.deepEqual([lost.status, response.status], [200, 200]);
  bench.assertAtRest();
});

test('a request that was lost once and is then refused elsewhere may have had its effect', () => {
  const bench = new Bench(({ config }) => Object.assign(config.retries, { attemptsMax: 2 })).map();
  const response = bench.ask();
  const { has, other } = bench.holder;
  has.lose();
  bench.settle();
  other.server.fail(0, 'QUEUE_FULL', 1_500);
  bench.settle();
  assert.deepEqual([codeOf(response), response.header('retry-after')], [[503, 'QUEUE_FULL', 'unknown'], '2']);
});

test('a refusal that the other dispatcher may not have is asked there', () => {
  for (const code of ['DRAINING', 'NOT_READY', 'NO_APP_SERVER'] as const) {
    const bench = new Bench().map();
    const response = bench.ask();
    const { has, other } = bench.holder;
    has.server.fail(0, code);
    bench.settle();
    other.server.reply(0, 'yes');
    bench.settle();
    assert.equal(response.body?.toString(), 'yes', code);
  }
});

test('an error that came through the tiers is told with who answered', () => {
  const bench = new Bench().map();
  const response = bench.ask();
  bench.holder.has.server.fail(0, 'BODY_INVALID');
  bench.settle();
  assert.deepEqual([codeOf(response), response.header('x-group')], [[400, 'BODY_INVALID', undefined], 'g1']);
  bench.assertAtRest();
});

test('a reply cut short is a problem, and its effect unknown', () => {
  const bench = new Bench().map();
  const response = bench.ask();
  bench.holder.has.server.replyCutShort(0);
  bench.settle();
  assert.deepEqual(codeOf(response), [502, 'LINK_FRAME_INVALID', 'unknown']);
  bench.assertAtRest();
});

test('I1: at its deadline a request that is out is answered, called back, and its late reply dropped', () => {
  const bench = new Bench().map();
  const response = bench.ask({ headers: [['x-request-timeout-ms', '100']] });
  const { server } = bench.holder.has;
  assert.equal(remainingMsOf(server.taken[0]?.message as Buffer, 0), timeForNextHop(100));
  bench.pass(130);
  assert.deepEqual([codeOf(response), server.cancelled.length], [[504, 'DEADLINE_EXCEEDED', 'unknown'], 1]);
  server.reply(0, 'late');
  bench.settle();
  assert.equal(response.ends, 1);
  assert.deepEqual(bench.pool.evidence, [], 'so short a time says nothing about the dispatcher');
  bench.assertAtRest();
});

test('I1: at its deadline a request that never left has had no effect', () => {
  const bench = new Bench(oneAtATime).map();
  bench.ask();
  const response = bench.ask({ headers: [['x-request-timeout-ms', '100']] });
  bench.pass(130);
  assert.deepEqual(codeOf(response), [504, 'DEADLINE_EXCEEDED', undefined]);
  assert.match(String(response.json['detail']), /it had no effect/);
});

test('a client that goes away has its request called back, and nothing is written to it', () => {
  const bench = new Bench().map();
  const response = bench.ask();
  response.abort();
  bench.settle();
  assert.deepEqual([bench.holder.has.server.cancelled.length, response.ends, bench.pool.evidence], [1, 0, []]);
  bench.holder.has.server.reply(0, 'late');
  bench.settle();
  response.abort();
  assert.equal(response.ends, 0);
  bench.assertAtRest();
});

test('a client that goes away in the middle of its body, or while it waits, leaves nothing behind', () => {
  const bench = new Bench(oneAtATime).map();
  const reading = bench.ask({ method: 'POST', headers: [['content-length', '9']] });
  bench.ask();
  const waiting = bench.ask();
  for (const response of [reading, waiting]) response.abort();
  reading.data('too late!', true);
  bench.reply('ok');
  bench.settle();
  assert.equal(bench.d1.server.taken.length + bench.d2.server.taken.length, 1);
  bench.assertAtRest();
});

test('while every dispatcher is full a request waits, and it leaves when one can take it', () => {
  const bench = new Bench().map();
  const links = [bench.d1, bench.d2].map(({ peer }) => peer.openLink);
  for (const { peer } of [bench.d1, bench.d2]) peer.openLink = undefined;
  const response = bench.ask();
  assert.equal(response.ends, 0);
  bench.d1.peer.openLink = links[0];
  bench.pipeline.scanner.wake();
  bench.settle();
  bench.reply('at last');
  assert.equal(response.body?.toString(), 'at last');
  bench.assertAtRest();
});

test('HEAD is answered with a head alone', () => {
  const bench = new Bench().map();
  const response = bench.ask({ method: 'HEAD', target: '/accounts/a' });
  bench.reply('four');
  assert.deepEqual([response.body, response.bareLength], [undefined, 4]);
});

test('a stopping server answers what it has and what comes, and closes each connection with its answer', () => {
  const bench = new Bench().map();
  const before = bench.ask();
  bench.pipeline.drain();
  bench.reply('one');
  const after = bench.ask();
  bench.reply('two');
  const unknown = bench.ask({ target: '/nowhere' });
  for (const response of [before, after, unknown]) assert.ok(response.closesConnection);
  bench.assertAtRest();
});

test('taken out gently, a server goes on serving and closes each connection; in maintenance it refuses; both end', () => {
  const bench = new Bench().map();
  bench.pipeline.takenOut = 'drain';
  const drained = bench.ask();
  bench.reply('one');
  assert.deepEqual([drained.status, drained.closesConnection], [200, true]);
  bench.pipeline.takenOut = 'maint';
  const refused = bench.ask();
  assert.deepEqual([refused.json['code'], refused.closesConnection], ['DRAINING', true]);
  bench.pipeline.takenOut = undefined;
  const served = bench.ask();
  bench.reply('two');
  assert.deepEqual([served.status, served.closesConnection], [200, false]);
  bench.assertAtRest();
});
