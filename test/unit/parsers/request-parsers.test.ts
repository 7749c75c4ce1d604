/** What reads a client's request: admission, routes, account keys, hashes, headers, queries, bodies, and the reply's writer. */
import assert from 'node:assert/strict';
import { headerValue } from '../../../app-server/handler-context.ts';
import { handlerInput, parseJsonBody, parseQuery } from '../../../app-server/handler-input.ts';
import { integerText } from '../../../app-server/sdk/integer-text.ts';
import { headerLines } from '../../../app-server/sdk/reply-headers.ts';
import { type RouteDefinition, route, z } from '../../../app-server/sdk/sdk.ts';
import { AccountKeyReader } from '../../../dispatcher-server/account-key-reader.ts';
import { Admitter } from '../../../interface-server/admission.ts';
import { contentTypeRefusal } from '../../../interface-server/published-routes.ts';
import { ReplyWriter } from '../../../interface-server/reply-writer.ts';
import { UnreadReplies } from '../../../interface-server/unread-replies.ts';
import { type AccountKeySource, clusterSchema } from '../../../shared/config/cluster-schema.ts';
import {
  accountKeyOf,
  queryOf,
  readError,
  replyIsWhole,
  requestIsWhole,
  writeReply,
} from '../../../shared/envelope.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { FrameWriter } from '../../../shared/link/frame.ts';
import { systemRandom } from '../../../shared/random.ts';
import { bucketOfKey, hashAsciiBytes, hashOfKey, jdkUtf8Hash } from '../../../shared/routing/jdk-hash.ts';
import { patternProblem, RouteTable } from '../../../shared/routing/route-table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeResponse, fakeRequest } from '../../support/fake-web.ts';
import { frameOf } from '../../support/frames.ts';
import { parserTest } from '../../support/parser-property.ts';
import { requestFrame } from '../../support/request-frame.ts';

const LIMITS = clusterSchema.shape.limits.parse({ headerBytesMax: 1_024, headerCountMax: 8, targetBytesMax: 64 });
const admitter = new Admitter(LIMITS);

parserTest('admission', {
  samples: [
    'GET /accounts/alice?x=1\nhost:x\naccept:*/*\n',
    'POST /echo\ncontent-length:5\ncontent-type:application/json\nx-request-timeout-ms:250\n',
    `PUT /a\ntransfer-encoding:chunked\ntraceparent:00-${'a'.repeat(32)}-${'b'.repeat(16)}-01\nx-request-id:7\n`,
  ],
  parse(input) {
    const [line = '', ...lines] = input.toString('latin1').split('\n');
    const blank = line.indexOf(' ');
    const headers = lines
      .filter((each) => each !== '')
      .map((each): [string, string] => [
        each.slice(0, each.indexOf(':')).toLowerCase(),
        each.slice(each.indexOf(':') + 1),
      ]);
    const target = line.slice(blank + 1);
    const admission = admitter.admit(fakeRequest({ method: line.slice(0, Math.max(0, blank)), target, headers }));
    if (admission.kind !== 'admitted') return false;
    assert.match(admitter.method, /^[A-Za-z]{1,32}$/);
    assert.match(`${admitter.path}?${admitter.query}`, /^[\x21-\x7e]{2,65}$/);
    assert.ok(admitter.timeoutMs >= 0 && admitter.timeoutMs <= LIMITS.requestTimeoutMsMax);
    assert.ok(admitter.contentLength >= -1 && admitter.contentLength <= LIMITS.bodyBytesMax);
    assert.match(admitter.traceparent, /^(|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})$/);
    assert.ok(admitter.headerBlock === '' || admitter.headerBlock.endsWith('\n'));
    return true;
  },
});

const ENTRY = { service: 's', method: '*', pattern: '/', accountParam: null, requestClass: 'interactive' };

parserTest('a content type', {
  samples: ['application/json', ' application/JSON ; charset=utf-8', 'text/plain'],
  parse(input) {
    const entry = { ...ENTRY, contentTypes: ['application/json', 'text/plain'] };
    const refusal = contentTypeRefusal(entry, input.toString('latin1'));
    if (refusal !== undefined) assert.equal(refusal.code, 'CONTENT_TYPE_UNSUPPORTED');
    return refusal === undefined;
  },
});

const PATTERNS = ['/', '/accounts/:account', '/accounts/:account/entries/:number', '/files/*', '/a.b~c_d-e'];
const table = RouteTable.build([
  ...PATTERNS.map((pattern) => ({ method: 'GET', pattern, value: pattern })),
  { method: '*', pattern: '/echo/:any/*', value: '*' },
]);

parserTest('a path', {
  samples: ['/', '/accounts/alice', '/accounts/%C3%A9/entries/7?x=1', '/files/a/b%2Fc', '/echo/x/y', '/a.b~c_d-e'],
  parse(input) {
    const path = input.toString('latin1');
    const match = table.find('GET', path);
    if (match.kind !== 'found') return false;
    const question = path.indexOf('?');
    const segments = (question === -1 ? path : path.slice(0, question)).split('/').length;
    if (!match.value.includes('*')) assert.equal(match.value.split('/').length, segments, path);
    for (const name of Object.keys(match.params)) assert.equal(typeof match.params[name], 'string');
    return true;
  },
});

parserTest('the pattern of a route', {
  samples: [...PATTERNS],
  refusals: ['SERVICE_INVALID'],
  divisor: 10, // a table is built at a start, not for a request
  parse(input) {
    const pattern = input.toString('latin1');
    const sound = patternProblem(pattern) === undefined;
    const built = RouteTable.build([{ method: 'GET', pattern, value: 1 }]);
    assert.ok(sound);
    const match = built.find('GET', pattern.replaceAll(/:[^/]+|\*/g, 'x'));
    assert.equal(match.kind, 'found', pattern);
    return true;
  },
});

const SOURCES: AccountKeySource[] = [
  { path: 'a' },
  { header: 'x-account-key' },
  { query: 'account' },
  { body: '/a/id' },
];
const keyReader = new AccountKeyReader({ sources: SOURCES, hash: { kind: 'jdk-string', buckets: 100 } });

parserTest('the account key of a request', {
  samples: [
    requestFrame({ pathAccountKey: 'alice' }),
    requestFrame({ pathAccountKey: '東京' }),
    requestFrame({ headerBlock: 'host:x\nx-account-key:bob\naccept:*/*\n' }),
    requestFrame({ target: '/echo?x=1&account=c%20d&y' }),
    requestFrame({ target: '/echo?xaccount=1&account=alice&account=bob' }),
    requestFrame({ body: '{"a":{"id":"eve"}}' }),
    requestFrame({ body: '{"a":{"id":42}}' }),
  ].map(({ message, start, end }) => message.subarray(start, end)),
  refusals: ['ACCOUNT_KEY_MISSING', 'ACCOUNT_KEY_INVALID'],
  parse(frame) {
    if (!requestIsWhole(frame, 0, frame.length)) return false;
    const { bucket, bytes, start, end } = keyReader.read(frame, 0, frame.length);
    const key = bytes === null ? accountKeyOf(frame, 0) : bytes.toString('utf8', start, end);
    if (bytes === frame) assert.equal(key, new URLSearchParams(`&${queryOf(frame, 0)}`).get('account'));
    assert.ok(key.length >= 1 && key.length <= 256 && key.isWellFormed());
    assert.ok(!/[\0-\x1f\x7f]/.test(key));
    assert.equal(bucket, bucketOfKey(key, 'jdk-string', 100));
    return true;
  },
});

parserTest('an account key’s hash', {
  samples: ['alice', 'Aa', 'BB', '東京', 'a\ud83d\ude00b', '\u00e9'.repeat(40)],
  parse(input) {
    const key = input.toString('utf16le');
    for (const kind of ['jdk-string', 'jdk-utf8'] as const) {
      const hash = hashOfKey(key, kind);
      assert.equal(hash, hash | 0);
      const bucket = bucketOfKey(key, kind, 100);
      assert.ok(bucket >= 0 && bucket < 100);
    }
    let signed = 0;
    for (const byte of Buffer.from(key.toWellFormed())) signed = (Math.imul(31, signed) + ((byte << 24) >> 24)) | 0;
    if (key.isWellFormed()) assert.equal(jdkUtf8Hash(key), signed);
    const ascii = input.map((byte) => byte & 0x7f);
    assert.equal(
      hashAsciiBytes(ascii, 0, ascii.length),
      hashOfKey(Buffer.from(ascii).toString('latin1'), 'jdk-string'),
    );
    return true;
  },
});

parserTest('a header of a block', {
  samples: ['host:x\nidempotency-key:7f3a\naccept:*/*\n', 'idempotency-key: a \nidempotency-key:b\n'],
  parse(input) {
    const block = input.toString();
    const value = headerValue(block, 'Idempotency-Key');
    if (value === undefined) assert.ok(!block.includes('\nidempotency-key:') && !block.startsWith('idempotency-key:'));
    else assert.ok(!value.includes('\n'));
    return value !== undefined;
  },
});

parserTest('a query', {
  samples: ['/x?a=1&b=%C3%A9&a=2&c', '/x?limit=20&before=7', '/x?', '/x?a=b+c&d=%25'],
  refusals: ['QUERY_INVALID'],
  parse(input) {
    const values = parseQuery(input.toString('latin1'));
    assert.equal(Object.getPrototypeOf(values), null);
    for (const value of Object.values(values).flat()) assert.ok(typeof value === 'string' && value.isWellFormed());
    return true;
  },
});

/** A prototype other than the two that JSON makes is one that a key of the input has set. */
function assertPlain(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  assert.ok([Object.prototype, Array.prototype].includes(Object.getPrototypeOf(value)));
  assert.ok(!Object.hasOwn(value, '__proto__'));
  for (const inner of Object.values(value)) assertPlain(inner);
}

parserTest('a JSON body', {
  samples: [
    '{"amount":5,"tags":["a","b"]}',
    '[1,2.5,null,true]',
    '"text"',
    '{"__proto__":{"a":1},"\\u005f_proto__":2}',
  ],
  refusals: ['BODY_INVALID'],
  parse(input) {
    assertPlain(parseJsonBody(input));
    return true;
  },
});

const DEPOSIT: RouteDefinition = route({
  method: 'POST',
  path: '/accounts/:account/deposits',
  params: z.object({ account: z.string().min(1) }),
  query: z.strictObject({ limit: integerText({ min: 1, max: 10 }).default(5) }),
  body: z.strictObject({ amount: z.int().min(1), tags: z.array(z.string().max(3)).optional() }),
  handler: () => undefined,
});

parserTest('a handler’s input', {
  samples: ['/a?limit=7\n{"amount":5,"tags":["a","b"]}', '/a\n{"amount":1}'],
  refusals: ['PARAMS_INVALID', 'QUERY_INVALID', 'BODY_INVALID'],
  parse(input) {
    const lineEnd = Math.max(0, input.indexOf('\n'));
    const request = { target: input.toString('latin1', 0, lineEnd), body: input.subarray(lineEnd + 1) };
    try {
      const { body, query } = handlerInput(DEPOSIT, { account: 'alice' }, request);
      assert.ok(Number.isInteger((body as { amount: number }).amount));
      assert.ok((query as { limit: number }).limit >= 1 && (query as { limit: number }).limit <= 10);
    } catch (thrown) {
      if (thrown instanceof PlatformError) assert.ok(thrown.detail.length <= 700 && thrown.detail.isWellFormed());
      throw thrown;
    }
    return true;
  },
});

const COUNT = integerText({ min: -5, max: 2 ** 53 - 1 });

parserTest('an integer in a query', {
  samples: ['0', '-5', '20', '9007199254740991'],
  parse(input) {
    const parsed = COUNT.safeParse(input.toString('latin1'));
    if (parsed.success) assert.ok(Number.isSafeInteger(parsed.data) && parsed.data >= -5);
    return parsed.success;
  },
});

parserTest('the headers of a handler’s reply', {
  samples: ['x-a: b', 'content-type: text/plain', 'ETag: "7"'],
  refusals: ['REPLY_INVALID'],
  parse(input) {
    const text = input.toString('latin1');
    const colon = text.indexOf(':');
    const lines = headerLines('application/json', { [text.slice(0, Math.max(0, colon))]: text.slice(colon + 1) });
    for (const line of lines.slice(0, -2).split('\r\n')) assert.match(line, /^[!-9;-~]+: [\t\x20-\x7e\x80-\xff]*$/);
    assert.ok(lines.endsWith('\r\n'));
    return true;
  },
});

const NO_TIMES = { queueMicros: 1, dispatchMicros: 2, handlerMicros: 3, dbMicros: 4 };

function replyFrame(status: number, headers: string, body: string): Buffer {
  const writer = new FrameWriter(256);
  writeReply(writer, 1, { status, headers, body }, NO_TIMES);
  writer.endFrame();
  return Buffer.from(writer.packed());
}

const unread = new UnreadReplies(
  { clock: new FakeClock(), random: { ...systemRandom, float: () => 1 }, onCut: () => {} },
  10_000,
);
const replyWriter = new ReplyWriter('0123456789abcdef', unread);

parserTest('a reply on its way to a client', {
  samples: [replyFrame(200, 'content-type: application/json\r\nx-group: g1\r\n', '{"a":1}'), replyFrame(204, '', '')],
  parse(frame) {
    if (!replyIsWhole(frame, 0, frame.length)) return false;
    const response = new FakeResponse();
    const options = { counter: 7, isHead: false, closeConnection: false };
    replyWriter.write(response.web, { message: frame, start: 0, end: frame.length }, options);
    assert.equal(response.ends, 1);
    assert.ok(response.status >= 200 && response.status <= 599);
    return true;
  },
});

parserTest('an error on its way to a client', {
  samples: ['{"detail":"no","status":409,"title":"Refused","problem":"own","group":"g1","servedBy":"g1a"}', '{}'],
  parse(payload) {
    for (const code of [11, 29]) {
      const frame = frameOf({ type: 5, code, amount: 1_500, payload });
      const { error, by, retryAfterMs } = readError(frame, 0, frame.length);
      const response = new FakeResponse();
      replyWriter.writeProblem(response.web, error, { requestId: 'ab', by, retryAfterMs });
      assert.equal(response.ends, 1);
      assert.ok(response.status >= 400 && response.status <= 599);
      assert.equal(typeof response.json['detail'], 'string');
      assert.match(response.head, /^([a-z-]+: [\x20-\x7e]+\r\n)+$/);
    }
    return true;
  },
});
