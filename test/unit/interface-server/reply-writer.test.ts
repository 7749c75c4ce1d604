import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { test } from 'node:test';
import { type ProblemOptions, type ReplyOptions, ReplyWriter } from '../../../interface-server/reply-writer.ts';
import { UnreadReplies } from '../../../interface-server/unread-replies.ts';
import { type ReplyTimes, writeReply } from '../../../shared/envelope.ts';
import { ERROR_KINDS, type ErrorCode, PlatformError } from '../../../shared/errors.ts';
import { FrameWriter } from '../../../shared/link/frame.ts';
import { type Random, systemRandom } from '../../../shared/random.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeResponse } from '../../support/fake-web.ts';

const TIMES: ReplyTimes = { queueMicros: 0, dispatchMicros: 12, handlerMicros: 1_234, dbMicros: 1_000_000 };
/** @param float what chance says: 1 asks about no small answer, 0 about each, and makes each without a body the last */
function replyWriter(float = 1): ReplyWriter {
  const random: Random = { ...systemRandom, float: () => float };
  const unread = new UnreadReplies({ clock: new FakeClock(), random, onCut: () => {} }, 10_000);
  return new ReplyWriter('0123456789abcdef', unread);
}

const HEADERS = 'content-type: text/plain\r\nx-group: g1\r\nx-served-by: g1a\r\n';

function reply(
  status: number,
  body: string,
  fields: Partial<ReplyOptions> & { times?: ReplyTimes; headers?: string; float?: number } = {},
): FakeResponse {
  const { times = TIMES, headers = HEADERS, float, ...options } = fields;
  const writer = new FrameWriter(256);
  writeReply(writer, 1, { status, headers, body }, times);
  writer.endFrame();
  const response = new FakeResponse();
  const message = Buffer.concat([Buffer.from(writer.packed()), Buffer.from('next frame')]);
  replyWriter(float).write(
    response.web,
    { message, start: 0, end: writer.at },
    { counter: 26, isHead: false, closeConnection: false, ...options },
  );
  return response;
}

function problem(code: ErrorCode, options: Partial<ProblemOptions> = {}): FakeResponse {
  const response = new FakeResponse();
  replyWriter().writeProblem(response.web, new PlatformError(code, 'what to do'), { requestId: 'r1', ...options });
  return response;
}

test('W1: a reply leaves with its body, its headers, the id, who answered and where the time went', () => {
  const response = reply(200, 'hé');
  assert.deepEqual(
    [response.statusLine, response.body?.toString(), response.closesConnection],
    ['200 OK', 'hé', false],
  );
  const timing = 'queue;dur=0, dispatch;dur=0.012, handler;dur=1.234, db;dur=1000';
  assert.equal(
    response.head,
    `x-request-id: 0123456789abcdef000000000000001a\r\nserver-timing: ${timing}\r\ncontent-type: text/plain\r\nx-group: g1\r\nx-served-by: g1a\r\n`,
  );
});

test('server-timing tells milliseconds in plain decimals, however long it took', () => {
  for (const micros of [0, 1, 9_999, 10_000, 10_001, 2 ** 32 - 1]) {
    const timing = reply(200, '', { times: { ...TIMES, handlerMicros: micros } }).header('server-timing') ?? '';
    const told = /handler;dur=([0-9.]+),/.exec(timing)?.[1];
    assert.equal(Number(told), micros / 1000, timing);
  }
});

test('every status has its own line', () => {
  assert.equal(reply(201, 'x').statusLine, '201 Created');
  assert.equal(reply(422, 'x').statusLine, `422 ${STATUS_CODES[422]}`);
  assert.equal(reply(299, 'x').statusLine, '299 Unassigned');
});

test('HEAD gets the length of the body and not the body', () => {
  const response = reply(200, 'four', { isHead: true });
  assert.deepEqual([response.body, response.bareLength], [undefined, 4]);
});

test('204 and 304 have neither a body nor a length, whatever the handler says', () => {
  for (const status of [204, 304]) {
    const response = reply(status, 'not allowed');
    assert.deepEqual([response.body, response.bareLength], [undefined, undefined]);
  }
});

test('a stopping server closes the connection with its answer', () => {
  for (const [status, isHead] of [
    [200, false],
    [200, true],
    [204, false],
  ] as const) {
    assert.ok(reply(status, '', { isHead, closeConnection: true }).closesConnection);
  }
});

test('a problem has every field of RFC 9457 and ours, for every code', () => {
  for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
    const response = problem(code);
    const { status, title, retryable } = ERROR_KINDS[code];
    assert.deepEqual(response.json, {
      type: `/-/errors#${code.toLowerCase().replaceAll('_', '-')}`,
      title,
      status,
      detail: 'what to do',
      code,
      requestId: 'r1',
      retryable,
    });
    assert.deepEqual([response.status, response.header('content-type')], [status, 'application/problem+json']);
    assert.deepEqual([response.header('x-request-id'), response.header('cache-control')], ['r1', 'no-store']);
    assert.match(response.statusLine, /^\d{3} [A-Z][A-Za-z -]+$/);
    assert.equal(response.header('retry-after'), status === 503 ? '1' : undefined, code);
  }
});

test('Retry-After is whole seconds, rounded up', () => {
  for (const [retryAfterMs, seconds] of [
    [0, '1'],
    [1, '1'],
    [1_000, '1'],
    [1_001, '2'],
  ] as const) {
    assert.equal(problem('QUEUE_FULL', { retryAfterMs }).header('retry-after'), seconds);
  }
});

test('405 says which methods are allowed', () => {
  assert.equal(problem('METHOD_NOT_ALLOWED', { allow: ['GET', 'PUT'] }).header('allow'), 'GET, PUT');
});

test('a problem from inside says who answered, and whether the effect is known', () => {
  const response = problem('LINK_LOST', { by: { group: 'g1', servedBy: 'g1a' }, outcomeUnknown: true });
  assert.deepEqual(
    [response.header('x-group'), response.header('x-served-by'), response.json['outcome']],
    ['g1', 'g1a', 'unknown'],
  );
});

test('a problem of a service has its own type', () => {
  const response = new FakeResponse();
  const error = new PlatformError('SERVICE_PROBLEM', 'no', { status: 402, title: 'Pay first', problem: 'pay-first' });
  replyWriter().writeProblem(response.web, error, { requestId: 'r1' });
  assert.deepEqual(
    [response.status, response.json['type'], response.json['title']],
    [402, 'urn:problem:pay-first', 'Pay first'],
  );
});

test('HEAD gets the length of a problem and not the problem, and a connection is closed when asked', () => {
  const response = problem('ROUTE_UNKNOWN', { isHead: true, closeConnection: true });
  assert.equal(response.body, undefined);
  assert.deepEqual([response.bareLength, response.closesConnection], [problem('ROUTE_UNKNOWN').body?.length, true]);
});

test('W3: a problem that must be the last of its connection is a whole answer, and lingers', () => {
  for (const isHead of [false, true]) {
    const response = problem('BODY_TOO_LARGE', { isLast: true, isHead });
    assert.deepEqual([response.status, response.lingers, response.closesConnection], [413, true, true]);
    assert.match(response.header('date') ?? '', /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    if (isHead) assert.equal(response.bareLength, problem('BODY_TOO_LARGE').body?.length);
    else assert.deepEqual(response.json, problem('BODY_TOO_LARGE').json);
  }
});

test('W3: now and then an answer without a body is the last of its connection', () => {
  const [head, bare] = [reply(200, 'four', { isHead: true, float: 0 }), reply(204, '', { float: 0 })];
  assert.deepEqual([head.bareLength, head.lingers, head.header('x-served-by')], [4, true, 'g1a']);
  assert.deepEqual([bare.bareLength, bare.lingers, bare.status], [undefined, true, 204]);
});
