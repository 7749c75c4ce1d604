import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Admission, Admitter } from '../../../interface-server/admission.ts';
import { clusterSchema, type LimitsConfig } from '../../../shared/config/cluster-schema.ts';
import { fakeRequest, type RequestLine } from '../../support/fake-web.ts';

const LIMITS: LimitsConfig = clusterSchema.shape.limits.parse({
  bodyBytesMax: 1_000,
  headerBytesMax: 1_024,
  headerCountMax: 8,
  targetBytesMax: 64,
  requestTimeoutMsMax: 60_000,
});

function admit(line: RequestLine, limits: Partial<LimitsConfig> = {}): { admission: Admission; admitter: Admitter } {
  const admitter = new Admitter({ ...LIMITS, ...limits });
  return { admission: admitter.admit(fakeRequest(line)), admitter };
}

const headers = (...list: (readonly [string, string])[]): RequestLine => ({ method: 'POST', headers: list });

const CUT: Record<string, RequestLine> = {
  'two Content-Length that differ': headers(['content-length', '5'], ['content-length', '6']),
  'two Content-Length that agree': headers(['content-length', '5'], ['content-length', '5']),
  'a Content-Length that is a list': headers(['content-length', '5, 5']),
  'a Content-Length with a sign': headers(['content-length', '+5']),
  'a negative Content-Length': headers(['content-length', '-1']),
  'a Content-Length in hex': headers(['content-length', '0x5']),
  'an empty Content-Length': headers(['content-length', '']),
  'a Content-Length past all reason': headers(['content-length', '1'.repeat(13)]),
  'Content-Length, then Transfer-Encoding': headers(['content-length', '5'], ['transfer-encoding', 'chunked']),
  'Transfer-Encoding, then Content-Length': headers(['transfer-encoding', 'chunked'], ['content-length', '5']),
  'Transfer-Encoding twice': headers(['transfer-encoding', 'chunked'], ['transfer-encoding', 'chunked']),
  'a Transfer-Encoding list': headers(['transfer-encoding', 'gzip, chunked']),
  'another Transfer-Encoding': headers(['transfer-encoding', 'identity']),
  'chunked in other letters': headers(['transfer-encoding', 'Chunked']),
  'chunked with a tab': headers(['transfer-encoding', '\tchunked']),
  'an empty Transfer-Encoding': headers(['transfer-encoding', '']),
  'an empty header name': headers(['', 'x']),
  'an empty header name after sound headers': headers(['content-length', '5'], ['host', 'x'], ['', 'x']),
  'a method with a sign': { method: 'G=T' },
  'an empty method': { method: '' },
  'a method with a blank': { method: 'GET ' },
  'a method with a digit': { method: 'G3T' },
  'a method of 33 letters': { method: 'A'.repeat(33) },
};
for (const [what, line] of Object.entries(CUT)) {
  test(`A1: ${what} is cut off without an answer`, () => assert.equal(admit(line).admission.kind, 'cut'));
}

test('chunked is taken exactly so, and refused altogether where the config says so', () => {
  const chunked = headers(['transfer-encoding', 'chunked']);
  assert.deepEqual([admit(chunked).admission.kind, admit(chunked).admitter.contentLength], ['admitted', -1]);
  assert.equal(admit(chunked, { allowChunkedBodies: false }).admission.kind, 'cut');
});

const REFUSED: Record<string, readonly [RequestLine, code: string]> = {
  'too many headers': [headers(...Array.from({ length: 9 }, (_, n) => [`h${n}`, '1'] as const)), 'HEADERS_TOO_LARGE'],
  'too many bytes of headers': [headers(['h', 'x'.repeat(1_024)]), 'HEADERS_TOO_LARGE'],
  'too many bytes of headers that are not carried on': [
    headers(['connection', 'x'.repeat(1_024)]),
    'HEADERS_TOO_LARGE',
  ],
  'a target too long': [{ target: `/${'a'.repeat(64)}` }, 'TARGET_TOO_LONG'],
  'a target too long by its query': [{ target: `/a?${'b'.repeat(62)}` }, 'TARGET_TOO_LONG'],
  'other characters than ASCII in the target': [{ target: '/é' }, 'REQUEST_INVALID'],
  'a blank in the target': [{ target: '/a b' }, 'REQUEST_INVALID'],
  'a control character in the query': [{ target: '/a?b=\x01' }, 'REQUEST_INVALID'],
  'a segment that goes up': [{ target: '/accounts/../-/ready' }, 'REQUEST_INVALID'],
  'a segment that goes up at the end': [{ target: '/accounts/..' }, 'REQUEST_INVALID'],
  'a segment that stays': [{ target: '/./echo' }, 'REQUEST_INVALID'],
  'a segment that goes up, encoded': [{ target: '/accounts/%2E%2e/x' }, 'REQUEST_INVALID'],
  'a segment that goes up, half encoded': [{ target: '/accounts/.%2e?a' }, 'REQUEST_INVALID'],
  'a segment that goes up between encoded slashes': [{ target: '/a%2f..%2Fb' }, 'REQUEST_INVALID'],
  'NUL in the path': [{ target: '/accounts/a%00b' }, 'REQUEST_INVALID'],
  'no target': [{ target: '' }, 'REQUEST_INVALID'],
  'a body too large by its own word': [headers(['content-length', '1001']), 'BODY_TOO_LARGE'],
  'a time that is no number': [headers(['x-request-timeout-ms', 'soon']), 'TIMEOUT_HEADER_INVALID'],
  'no time at all': [headers(['x-request-timeout-ms', '0']), 'TIMEOUT_HEADER_INVALID'],
  'an empty time': [headers(['x-request-timeout-ms', '']), 'TIMEOUT_HEADER_INVALID'],
  'a fraction of time': [headers(['x-request-timeout-ms', '1.5']), 'TIMEOUT_HEADER_INVALID'],
  'a negative time': [headers(['x-request-timeout-ms', '-5']), 'TIMEOUT_HEADER_INVALID'],
  'more time than is given': [headers(['x-request-timeout-ms', '60001']), 'TIMEOUT_HEADER_INVALID'],
};
for (const [what, [line, code]] of Object.entries(REFUSED)) {
  test(`${what} is refused with ${code}`, () => {
    const { admission } = admit(line);
    assert.deepEqual([admission.kind, admission.kind === 'refused' && admission.error.code], ['refused', code]);
  });
}

test('what is exactly at its limit is let in', () => {
  assert.equal(admit({ target: `/${'a'.repeat(63)}` }).admission.kind, 'admitted');
  assert.equal(admit(headers(['content-length', '1000'])).admission.kind, 'admitted');
  assert.equal(admit(headers(['h', 'x'.repeat(1_023)])).admission.kind, 'admitted');
  assert.equal(
    admit(headers(...Array.from({ length: 8 }, (_, n) => [`h${n}`, ''] as const))).admission.kind,
    'admitted',
  );
  assert.equal(admit(headers(['x-request-timeout-ms', '60000'])).admitter.timeoutMs, 60_000);
});

test('an admitted request is carried on with its headers, without those of one connection', () => {
  const { admission, admitter } = admit({
    method: 'PUT',
    target: '/a/b?c=%20d',
    headers: [
      ['host', 'example'],
      ['connection', 'keep-alive'],
      ['te', 'trailers'],
      ['content-length', '3'],
      ['content-type', 'application/json'],
      ['x-request-id', 'mine'],
      ['x-request-timeout-ms', '250'],
    ],
  });
  assert.equal(admission.kind, 'admitted');
  assert.deepEqual(
    { ...admitter },
    {
      method: 'PUT',
      path: '/a/b',
      query: 'c=%20d',
      headerBlock: 'host:example\ncontent-type:application/json\nx-request-id:mine\n',
      traceparent: '',
      contentType: 'application/json',
      clientRequestId: 'mine',
      contentLength: 3,
      lastOfConnection: false,
      timeoutMs: 250,
    },
  );
});

test('a path without a query, and one with an empty query, are the same target', () => {
  for (const target of ['/a', '/a?']) {
    const { admitter } = admit({ target });
    assert.deepEqual([admitter.path, admitter.query], ['/a', '']);
  }
});

test('one admitter remembers nothing of the request before', () => {
  const admitter = new Admitter(LIMITS);
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  admitter.admit(
    fakeRequest(headers(['content-length', '3'], ['x-request-timeout-ms', 'soon'], ['traceparent', traceparent])),
  );
  admitter.admit(fakeRequest(headers(['', ''])));
  assert.equal(admitter.admit(fakeRequest({ method: 'GET' })).kind, 'admitted');
  const { headerBlock, contentLength, timeoutMs, clientRequestId, contentType } = admitter;
  assert.deepEqual(
    [headerBlock, admitter.traceparent, contentLength, timeoutMs, clientRequestId, contentType],
    ['', '', 0, 0, '', ''],
  );
});

const TRACE = 'a'.repeat(32);
const SPAN = 'b'.repeat(16);
const TRACEPARENTS: Record<string, boolean> = {
  [`00-${TRACE}-${SPAN}-01`]: true,
  [`cc-${TRACE}-${SPAN}-00`]: true,
  [`ff-${TRACE}-${SPAN}-01`]: false,
  [`00-${'0'.repeat(32)}-${SPAN}-01`]: false,
  [`00-${TRACE}-${'0'.repeat(16)}-01`]: false,
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`]: false,
  [`00-${TRACE}-${SPAN}`]: false,
  [`00-${TRACE}-${SPAN}-01-more`]: false,
  '': false,
};
for (const [traceparent, taken] of Object.entries(TRACEPARENTS)) {
  test(`the traceparent "${traceparent}" is ${taken ? 'taken' : 'dropped, and the request let in'}`, () => {
    const { admission, admitter } = admit({ headers: [['traceparent', traceparent]] });
    assert.deepEqual(
      [admission.kind, admitter.traceparent, admitter.headerBlock],
      ['admitted', taken ? traceparent : '', ''],
    );
  });
}

test('new limits hold for the next request', () => {
  const admitter = new Admitter(LIMITS);
  admitter.configure({ ...LIMITS, bodyBytesMax: 10 });
  assert.equal(admitter.admit(fakeRequest(headers(['content-length', '11']))).kind, 'refused');
});

test('dots in a name, an encoded slash, and dots in the query are nobody’s business', () => {
  for (const target of [
    '/accounts/...',
    '/accounts/..a',
    '/accounts/a..',
    '/.well-known/x',
    '/a%2fb',
    '/a%2e',
    '/a?b=/../%00',
  ])
    assert.equal(admit({ target }).admission.kind, 'admitted', target);
});

test('A2: a chunked request, and a POST that has no length to show, are the last of their connections', () => {
  const isLast = (line: RequestLine): boolean => admit(line).admitter.lastOfConnection;
  assert.equal(isLast(headers(['transfer-encoding', 'chunked'])), true);
  for (const method of ['POST', 'PUT', 'PATCH']) {
    assert.equal(isLast({ method }), true, method);
    assert.equal(isLast({ method, headers: [['content-length', '0']] }), false, method);
  }
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PING']) assert.equal(isLast({ method }), false, method);
});
