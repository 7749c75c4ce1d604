import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AccountKeyReader } from '../../../dispatcher-server/account-key-reader.ts';
import type { AccountKeySource } from '../../../shared/config/cluster-schema.ts';
import { bucketOfKey, type HashKind } from '../../../shared/routing/jdk-hash.ts';
import '../../support/property-runs.ts';
import { type RequestParts, requestFrame } from '../../support/request-frame.ts';

const PATH: AccountKeySource = { path: 'account' };
const HEADER: AccountKeySource = { header: 'x-account-key' };
const QUERY: AccountKeySource = { query: 'account' };
const BODY: AccountKeySource = { body: '/account/id' };
const ALL = [PATH, HEADER, QUERY, BODY];

interface Read {
  readonly bucket: number;
  /** The key that goes on to the app server; null: the one that was in the path. */
  readonly key: string | null;
}

function read(parts: RequestParts, sources: readonly AccountKeySource[] = ALL, kind: HashKind = 'jdk-string'): Read {
  const { message, start, end } = requestFrame(parts);
  const found = new AccountKeyReader({ sources, hash: { kind, buckets: 100 } }).read(message, start, end);
  return {
    bucket: found.bucket,
    key: found.bytes === null ? null : found.bytes.toString('utf8', found.start, found.end),
  };
}

const bucket = (key: string, kind: HashKind = 'jdk-string'): number => bucketOfKey(key, kind, 100);
const found = (key: string): Read => ({ bucket: bucket(key), key });

function refusal(code: string, detail: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof Error && 'code' in thrown && 'detail' in thrown);
    assert.equal(thrown.code, code);
    assert.match(String(thrown.detail), detail);
    return true;
  };
}

const EVERYWHERE: RequestParts = {
  pathAccountKey: 'in-path',
  headerBlock: 'host:x\nx-account-key:in-header\naccept:*/*\n',
  target: '/echo?account=in-query',
  body: '{"account":{"id":"in-body"}}',
};

test('the sources are tried in the order of the config', () => {
  assert.deepEqual(read(EVERYWHERE), { bucket: bucket('in-path'), key: null });
  assert.deepEqual(read(EVERYWHERE, [HEADER, PATH]), found('in-header'));
  assert.deepEqual(read(EVERYWHERE, [QUERY, HEADER]), found('in-query'));
  assert.deepEqual(read(EVERYWHERE, [BODY, QUERY]), found('in-body'));
});

test('a source that has nothing, or an empty key, leaves it to the next', () => {
  assert.deepEqual(read({ ...EVERYWHERE, pathAccountKey: '' }), found('in-header'));
  assert.deepEqual(read({ ...EVERYWHERE, pathAccountKey: '', headerBlock: 'x-account-key:\n' }), found('in-query'));
  for (const query of ['account=', 'account', 'account&account=second', 'account=&account=second', 'account&x=%20']) {
    assert.deepEqual(read({ target: `/echo?${query}`, body: EVERYWHERE.body as string }), found('in-body'), query);
  }
});

test('no key anywhere is refused with the sources that were tried, in their order', () => {
  const detail =
    /tried path parameter "account", header "x-account-key", query parameter "account", body at \/account\/id$/;
  assert.throws(
    () => read({ target: '/echo?other=1', body: '{"account":{}}' }),
    refusal('ACCOUNT_KEY_MISSING', detail),
  );
  assert.throws(
    () => read(EVERYWHERE, [{ header: 'x-other' }]),
    refusal('ACCOUNT_KEY_MISSING', /tried header "x-other"$/),
  );
});

test('what one request had is not remembered for the next', () => {
  const reader = new AccountKeyReader({ sources: ALL, hash: { kind: 'jdk-string', buckets: 100 } });
  const first = requestFrame({ headerBlock: 'x-account-key:one\n' });
  const second = requestFrame({ pathAccountKey: 'two' });
  reader.read(first.message, first.start, first.end);
  assert.equal(reader.read(second.message, second.start, second.end).bytes, null);
});

const HEADER_BLOCKS: Record<string, string | undefined> = {
  'x-account-key:k\n': 'k',
  'a:b\nx-account-key:k\nc:d\n': 'k',
  'x-account-key:first\nx-account-key:second\n': 'first',
  'x-account-key:a:b=c d\n': 'a:b=c d',
  'xx-account-key:k\n': undefined,
  'a:x-account-key:k\n': undefined,
  'x-account-key-2:k\n': undefined,
};
for (const [block, key] of Object.entries(HEADER_BLOCKS)) {
  test(`the header block ${JSON.stringify(block)} has ${key === undefined ? 'no key' : `the key "${key}"`}`, () => {
    if (key !== undefined) assert.deepEqual(read({ headerBlock: block }, [HEADER]), found(key));
    else assert.throws(() => read({ headerBlock: block }, [HEADER]), refusal('ACCOUNT_KEY_MISSING', /tried header/));
  });
}

const QUERIES: Record<string, string> = {
  'account=k': 'k',
  'x=1&account=k&y=2': 'k',
  'account=first&account=second': 'first',
  'account=a%20b+c': 'a b c',
  'account=%C3%A9%E6%9D%B1': 'é東',
  'account=a%3Db%26c': 'a=b&c',
  'account=%EF%BF%BD': '\ufffd',
  'acc%6Funt=k': 'k',
  '?account=other&account=k': 'k',
};
for (const [query, key] of Object.entries(QUERIES)) {
  test(`the query ${query} has the key "${key}"`, () => {
    assert.deepEqual(read({ target: `/echo?${query}` }, [QUERY]), found(key));
  });
}

const BODIES: readonly (readonly [pointer: string, body: unknown, key: string])[] = [
  ['/account', { account: 'k' }, 'k'],
  ['/account', { account: 42 }, '42'],
  ['/account', { account: -7 }, '-7'],
  ['/a/b/c', { a: { b: { c: 'k' } } }, 'k'],
  ['/list/1/id', { list: [{}, { id: 'k' }] }, 'k'],
  ['/a~1b', { 'a/b': 'k' }, 'k'],
  ['/a~0b', { 'a~b': 'k' }, 'k'],
  ['/a~01', { 'a~1': 'k' }, 'k'],
  ['/', { '': 'k' }, 'k'],
  ['/a//b', { a: { '': { b: 'k' } } }, 'k'],
  ['/é', { é: 'ü' }, 'ü'],
];
for (const [pointer, body, key] of BODIES) {
  test(`the pointer ${pointer} into ${JSON.stringify(body)} gives "${key}"`, () => {
    assert.deepEqual(read({ body: JSON.stringify(body) }, [{ body: pointer }]), found(key));
  });
}

test('a pointer that leads nowhere finds nothing, also at names that every object has', () => {
  for (const pointer of ['/account/id', '/__proto__/x', '/constructor/name', '/toString', '/text/length', '/none/x']) {
    const parts = { body: '{"text":"abc","none":null}' };
    assert.throws(() => read(parts, [{ body: pointer }]), refusal('ACCOUNT_KEY_MISSING', /tried body at/), pointer);
  }
});

test('a body is not looked at while a source before it has a key', () => {
  assert.deepEqual(read({ ...EVERYWHERE, body: 'no JSON at all' }), { bucket: bucket('in-path'), key: null });
});

const INVALID: Record<string, readonly [RequestParts, RegExp]> = {
  'a key over 256 characters': [
    { pathAccountKey: 'a'.repeat(257) },
    /^path parameter "account": .*at most 256 characters.*257/,
  ],
  'a key over 512 bytes': [{ pathAccountKey: '東'.repeat(171) }, /at most 512 bytes in UTF-8, came 513/],
  'a control character in the path': [{ pathAccountKey: 'a\x1fb' }, /no control characters/],
  'a NUL in the path': [{ pathAccountKey: '\0' }, /no control characters/],
  'DEL in the query': [{ target: '/echo?account=a%7Fb' }, /^query parameter "account": .*no control characters/],
  'a line end in the query': [{ target: '/echo?account=a%0Ab' }, /no control characters/],
  'bytes in the query that are not UTF-8': [
    { target: '/echo?account=%ff' },
    /^query parameter "account": expected UTF-8/,
  ],
  'other characters than ASCII in a header': [
    { headerBlock: 'x-account-key:é\n' },
    /^header "x-account-key": expected ASCII/,
  ],
  'bytes in a header that are not UTF-8': [{ headerBlock: 'x-account-key:a\ufffdb\n' }, /expected ASCII/],
  'a lone surrogate in the body': [
    { body: '{"account":{"id":"a\\ud800"}}' },
    /^body at \/account\/id: .*lone surrogate/,
  ],
  'a body that is no JSON': [{ body: '{"account":' }, /expected a JSON body with the account key at \/account\/id/],
  'a body that is not UTF-8': [{ body: Buffer.from('{"account":{"id":"\xff"}}', 'latin1') }, /expected UTF-8/],
  'a fraction in the body': [{ body: '{"account":{"id":1.5}}' }, /string or a whole number .* got number/],
  'a number past what is exact': [{ body: '{"account":{"id":9007199254740993}}' }, /got number/],
  'null in the body': [{ body: '{"account":{"id":null}}' }, /got null/],
  'an object in the body': [{ body: '{"account":{"id":{}}}' }, /got object/],
};
for (const [what, [parts, detail]] of Object.entries(INVALID)) {
  test(`${what} is refused`, () => assert.throws(() => read(parts), refusal('ACCOUNT_KEY_INVALID', detail)));
}

test('a path key whose bytes are not UTF-8 is refused', () => {
  const { message, start, end } = requestFrame({ pathAccountKey: 'abc' });
  message[start + 57] = 0xff;
  const reader = new AccountKeyReader({ sources: ALL, hash: { kind: 'jdk-string', buckets: 100 } });
  assert.throws(() => reader.read(message, start, end), refusal('ACCOUNT_KEY_INVALID', /expected UTF-8/));
});

test('Y1: the fast way for plain ASCII finds the bucket that the hash of the string gives, of either kind', () => {
  const key = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
    minLength: 1,
    maxLength: 256,
  });
  fc.assert(
    fc.property(key, fc.constantFrom<HashKind>('jdk-string', 'jdk-utf8'), (text, kind) => {
      assert.deepEqual(read({ pathAccountKey: text }, ALL, kind), { bucket: bucket(text, kind), key: null });
    }),
  );
});

test('Y3: any sound key has one bucket, whichever source it came by', () => {
  const key = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 120 })
    .filter((text) => text.isWellFormed() && !/[\0-\x1f\x7f]/.test(text));
  fc.assert(
    fc.property(key, fc.constantFrom<HashKind>('jdk-string', 'jdk-utf8'), (text, kind) => {
      const expected = bucket(text, kind);
      assert.equal(read({ pathAccountKey: text }, [PATH], kind).bucket, expected);
      const query = read({ target: `/echo?account=${encodeURIComponent(text)}` }, [QUERY], kind);
      const body = read({ body: JSON.stringify({ account: { id: text } }) }, [BODY], kind);
      for (const other of [query, body]) assert.deepEqual(other, { bucket: expected, key: text });
    }),
  );
});

test('the two kinds of hash differ where a key is not ASCII', () => {
  assert.deepEqual(
    [read({ pathAccountKey: 'é' }, ALL, 'jdk-string').bucket, read({ pathAccountKey: 'é' }, ALL, 'jdk-utf8').bucket],
    [33, bucket('é', 'jdk-utf8')],
  );
  assert.notEqual(bucket('é', 'jdk-utf8'), 33);
});
