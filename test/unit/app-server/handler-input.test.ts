import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseQuery } from '../../../app-server/handler-input.ts';
import {
  defineService,
  integerText,
  type RouteDefinition,
  route,
  type ServiceDefinition,
  z,
} from '../../../app-server/sdk/sdk.ts';
import { HandlerBench, type RequestFields } from '../../support/handler-bench.ts';

const JSON_HEADER = 'content-type:application/json\n';

const serviceOf = (...routes: RouteDefinition[]): ServiceDefinition => defineService({ name: 'test', routes });

const thing = z.strictObject({
  amount: z.int().min(1),
  tags: z.array(z.string().max(3)).optional(),
});

const bench = new HandlerBench([
  serviceOf(
    route({ method: 'PUT', path: '/strict', body: thing, handler: (_ctx, { body }) => body }),
    route({ method: 'PUT', path: '/loose', body: z.looseObject({}), handler: (_ctx, { body }) => body }),
    route({ method: 'PUT', path: '/any', body: z.any(), handler: (_ctx, { body }) => ({ got: body ?? 'nothing' }) }),
    route({ method: 'PUT', path: '/raw', handler: (_ctx, { body }) => [...body] }),
    route({
      method: 'GET',
      path: '/query',
      query: z.strictObject({
        limit: integerText({ min: 1, max: 10 }).default(5),
        tag: z.array(z.string()).optional(),
      }),
      handler: (_ctx, { query }) => query,
    }),
    route({ method: 'GET', path: '/lazy', handler: (_ctx, { query }) => query }),
    route({ method: 'GET', path: '/unread', handler: () => 'x' }),
    route({
      method: 'GET',
      path: '/items/:item',
      params: z.object({ item: integerText({ min: 1, max: 99 }) }),
      handler: (_ctx, { params }) => params,
    }),
    route({
      method: 'PUT',
      path: '/defect',
      body: z.any().refine(() => {
        throw new Error('in a schema');
      }),
      handler: () => 'x',
    }),
  ),
]);

async function put(path: string, text: string | Uint8Array, fields: RequestFields = {}) {
  return bench.json('PUT', path, { headerBlock: JSON_HEADER, ...fields, body: text });
}

async function detailOf(path: string, text: string | Uint8Array): Promise<string> {
  const { status, value } = await put(path, text);
  assert.equal(status, 400);
  const { code, detail } = value as { code: string; detail: string };
  assert.equal(code, 'BODY_INVALID');
  return detail;
}

describe('a JSON body', () => {
  it('reaches the handler as its schema makes it', async () => {
    assert.deepEqual(await put('/strict', ' {"amount": 5} '), { status: 200, value: { amount: 5 } });
  });

  const refused: [name: string, text: string | Uint8Array, detail: RegExp][] = [
    ['a number too small', '{"amount":0}', /^body\.amount: expected number to be >=1, got 0$/],
    ['a number with a fraction', '{"amount":1.5}', /^body\.amount: expected int, got 1\.5$/],
    ['an integer past 2^53', '{"amount":9007199254740993}', /^body\.amount: /],
    ['another type', '{"amount":"5"}', /^body\.amount: expected number, got "5"$/],
    ['a missing key', '{}', /^body\.amount: expected number, got nothing$/],
    ['an unknown key', '{"amount":1,"x\\n":2}', /^body: expected no other keys, got "x\\n"$/],
    ['a bad item of a list', '{"amount":1,"tags":["a","long"]}', /^body\.tags\[1\]: .*got "long"$/],
    ['a length that cannot be compared', '{"amount":1,"tags":[{"length":{"toString":1}}]}', /^body: expected no keys/],
    ['a list', '[1]', /^body: expected object, got a list of 1$/],
    ['null', 'null', /^body: expected object, got null$/],
    ['no body', '', /^body: expected object, got nothing$/],
    ['no JSON', '{amount:5}', /^body: expected JSON: /],
    ['JSON cut short', '{"amount":', /^body: expected JSON: /],
    ['two values', '{} {}', /^body: expected JSON: /],
    ['bytes that are not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /^body: expected JSON in UTF-8/],
    ['an encoded surrogate', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), /^body: expected JSON in UTF-8/],
  ];
  for (const [name, text, detail] of refused) {
    it(`is refused when it is ${name}`, async () => assert.match(await detailOf('/strict', text), detail));
  }

  it('is refused in a bounded text, whatever came', async () => {
    const anyJson = fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.string({ unit: 'binary', maxLength: 200 }).map((text) => JSON.stringify({ amount: text.repeat(20) })),
      fc
        .array(fc.string({ unit: 'binary' }), { maxLength: 50 })
        .map((keys) => JSON.stringify(Object.fromEntries(keys.map((key) => [key, key])))),
    );
    await fc.assert(
      fc.asyncProperty(anyJson, async (text) => {
        const { status, value } = await put('/strict', text);
        if (status === 200) return;
        const { detail } = value as { detail: string };
        assert.ok(detail.length <= 600 && detail.isWellFormed(), detail);
      }),
      { numRuns: 200 },
    );
  });

  it('with nothing in it is `undefined`, and the schema decides', async () => {
    assert.deepEqual(await bench.json('PUT', '/any'), { status: 200, value: { got: 'nothing' } });
  });

  it('with a key twice has the last one', async () => {
    assert.deepEqual((await put('/strict', '{"amount":1,"amount":2}')).value, { amount: 2 });
  });

  for (const key of ['__proto__', '\\u005f_proto__', '__pr\\u006fto__']) {
    it(`loses a key ${key} before it can become a prototype`, async () => {
      for (const path of ['/loose', '/strict']) {
        const { status, value } = await put(path, `{"amount":1,"${key}":{"polluted":true}}`);
        assert.deepEqual([status, value], [200, { amount: 1 }]);
      }
      assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    });
  }

  it('nested very deep is parsed or refused, never fatal', async () => {
    const deep = (inner: string): string => `${'['.repeat(200_000)}${inner}${']'.repeat(200_000)}`;
    assert.ok((await put('/strict', deep(''))).status === 400);
    assert.match(await detailOf('/strict', deep('"__proto__"')), /nested too deep/);
  });

  it('of another content type is refused with the types expected', async () => {
    for (const headerBlock of ['', 'content-type:text/plain\n', 'content-type:application/jsonx\n']) {
      const { status, value } = await put('/strict', '{"amount":1}', { headerBlock });
      assert.equal(status, 415);
      assert.match((value as { detail: string }).detail, /^expected a body of application\/json, got /);
    }
    const headerBlock = 'content-type:Application/JSON ; charset=utf-8\n';
    assert.equal((await put('/strict', '{"amount":1}', { headerBlock })).status, 200);
  });

  it('is left as bytes without a schema', async () => {
    assert.deepEqual((await put('/raw', Uint8Array.of(0, 255), { headerBlock: '' })).value, [0, 255]);
  });

  it('whose schema throws is a defect of the handler, not of the client', async () => {
    assert.equal(((await put('/defect', '1')).value as { code: string }).code, 'HANDLER_FAILED');
  });
});

describe('a query', () => {
  it('reaches the handler as its schema makes it', async () => {
    assert.deepEqual((await bench.json('GET', '/query?tag=a&limit=7&tag=b')).value, { limit: 7, tag: ['a', 'b'] });
    assert.deepEqual((await bench.json('GET', '/query?')).value, { limit: 5 });
  });

  for (const [query, detail] of [
    ['limit=0', /^query\.limit: expected an integer of 1\.\.10, got "0"$/],
    ['limit=1&limit=2', /^query\.limit: expected an integer of 1\.\.10, got a list of 2$/],
    ['other=1', /^query: expected no other keys, got "other"$/],
    ['limit=%zz', /^query: expected percent-encoded UTF-8, got "%zz"$/],
    ['%ff=1', /^query: expected percent-encoded UTF-8/],
  ] as const) {
    it(`?${query} is refused`, async () => {
      const { status, value } = await bench.json('GET', `/query?${query}`);
      assert.equal(status, 400);
      const refusal = value as { code: string; detail: string };
      assert.equal(refusal.code, 'QUERY_INVALID');
      assert.match(refusal.detail, detail);
    });
  }

  it('without a schema is parsed when the handler looks at it', async () => {
    assert.deepEqual((await bench.json('GET', '/lazy?a=b=c&&d')).value, { a: 'b=c', d: '' });
    assert.equal(((await bench.json('GET', '/lazy?%')).value as { code: string }).code, 'QUERY_INVALID');
    assert.equal((await bench.json('GET', '/unread?%')).status, 200);
  });

  it('never touches a prototype', () => {
    const values = parseQuery('/x?__proto__=1&constructor=2');
    assert.deepEqual(Object.entries(values), [
      ['__proto__', '1'],
      ['constructor', '2'],
    ]);
    assert.equal(Object.getPrototypeOf(values), null);
  });

  it('reads what URLSearchParams writes', () => {
    const pairs = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), { maxLength: 5 });
    fc.assert(
      fc.property(pairs, (given) => {
        const sent = new URLSearchParams(given);
        const values = parseQuery(`/x?${sent}`);
        for (const name of sent.keys()) {
          assert.deepEqual([values[name]].flat(), sent.getAll(name));
        }
      }),
    );
  });
});

describe('path parameters', () => {
  it('reach the handler as their schema makes them', async () => {
    assert.deepEqual((await bench.json('GET', '/items/42')).value, { item: 42 });
  });

  it('are refused by name', async () => {
    assert.deepEqual(await bench.json('GET', '/items/4%322x'), {
      status: 400,
      value: {
        code: 'PARAMS_INVALID',
        problem: undefined,
        detail: 'params.item: expected an integer of 1..99, got "422x"',
      },
    });
  });
});
