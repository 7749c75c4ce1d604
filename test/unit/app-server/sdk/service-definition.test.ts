import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Context,
  defineService,
  integerText,
  problem,
  rawReply,
  reply,
  route,
  z,
} from '../../../../app-server/sdk/sdk.ts';
import { PlatformError } from '../../../../shared/errors.ts';

function refusal(build: () => unknown, code = 'SERVICE_INVALID'): string {
  try {
    build();
  } catch (thrown) {
    assert.ok(thrown instanceof PlatformError, String(thrown));
    assert.equal(thrown.code, code);
    return thrown.detail;
  }
  return assert.fail('expected a refusal');
}

const handler = (): string => 'x';
const one = route({ method: 'GET', path: '/a', handler });

describe('route types', () => {
  it('types params, query, body and reply from the schemas (checked by tsc)', () => {
    route({
      method: 'POST',
      path: '/things/:account/:thing',
      params: z.object({ account: z.string(), thing: integerText({ min: 1, max: 9 }) }),
      query: z.object({ full: z.enum(['yes', 'no']).optional() }),
      body: z.object({ size: z.int() }),
      reply: z.object({ total: z.number() }),
      handler(_ctx: Context, { params, query, body }) {
        const thing: number = params.thing;
        const full: 'yes' | 'no' | undefined = query.full;
        const size: number = body.size;
        // @ts-expect-error the schema has no such key
        void body.other;
        return full === 'yes' ? reply(201, { total: thing + size }) : { total: size };
      },
    });
    // @ts-expect-error a reply of another shape than its schema's
    route({ method: 'GET', path: '/b', reply: z.object({ total: z.number() }), handler: () => ({ total: 'many' }) });
    // @ts-expect-error a promise of another shape than its schema's
    route({ method: 'GET', path: '/c', reply: z.object({ total: z.number() }), handler: async () => reply(200, 'x') });
    // @ts-expect-error accountParam must be in the path
    assert.throws(() => route({ method: 'GET', path: '/d/:thing', accountParam: 'account', handler }));
  });

  it('types params from the path and the body as bytes without schemas (checked by tsc)', () => {
    route({
      method: 'GET',
      path: '/things/:account/:thing/*',
      handler(_ctx, { params, query, body }) {
        const texts: string[] = [params.account, params.thing, params['*']];
        const bytes: Uint8Array = body;
        const list: string | readonly string[] | undefined = query.any;
        // @ts-expect-error the path has no such parameter
        void params.other;
        return rawReply(200, 'text/plain', `${texts.length}${bytes.length}${String(list)}`);
      },
    });
  });
});

describe('route', () => {
  const refused: [name: string, build: () => unknown, detail: RegExp][] = [
    ['a lower-case method', () => route({ method: 'get', path: '/a', handler }), /upper-case method/],
    ['a path without /', () => route({ method: 'GET', path: 'a', handler }), /starts with '\/'/],
    ['a regular expression', () => route({ method: 'GET', path: '/:a(x)', handler }), /expected segments/],
    ['a missing handler', () => route({ method: 'GET', path: '/a' } as never), /expected a handler function/],
    [
      'an account parameter that is not in the path',
      () => route({ method: 'GET', path: '/a/:b', accountParam: 'account' as never, handler }),
      /parameter of the path \(:b\), got 'account'/,
    ],
    ['an odd queue class', () => route({ method: 'GET', path: '/a', requestClass: 'A b', handler }), /queue class/],
    [
      'a schema that is no zod schema',
      () => route({ method: 'GET', path: '/a', body: {} as never, handler }),
      /zod schema/,
    ],
    [
      'a content type with a parameter',
      () => route({ method: 'GET', path: '/a', contentTypes: ['text/plain; charset=utf-8'], handler }),
      /without parameters/,
    ],
    [
      'a body schema with a type that is not JSON',
      () => route({ method: 'GET', path: '/a', body: z.any(), contentTypes: ['text/plain'], handler }),
      /expected JSON content types/,
    ],
  ];
  for (const [name, build, detail] of refused) {
    it(`refuses ${name}`, () => assert.match(refusal(build), detail));
  }

  it('defaults the account parameter to `account`, when the path has it', () => {
    assert.equal(route({ method: 'GET', path: '/a/:account', handler }).accountParam, 'account');
    assert.equal(route({ method: 'GET', path: '/a/:id', handler }).accountParam, null);
    assert.equal(route({ method: 'GET', path: '/a/:id', accountParam: 'id', handler }).accountParam, 'id');
  });

  it('takes JSON by default when it has a body schema, and any type without', () => {
    assert.deepEqual(route({ method: 'PUT', path: '/a', body: z.any(), handler }).contentTypes, ['application/json']);
    assert.deepEqual(route({ method: 'PUT', path: '/a', handler }).contentTypes, []);
    const contentTypes = ['application/vnd.things+json'];
    assert.deepEqual(
      route({ method: 'PUT', path: '/a', body: z.any(), contentTypes, handler }).contentTypes,
      contentTypes,
    );
  });
});

describe('defineService', () => {
  const table = 'CREATE TABLE IF NOT EXISTS things (account VARCHAR(256) NOT NULL PRIMARY KEY)';
  const withSchema = (...schema: string[]) => defineService({ name: 'a', schema, routes: [one] });
  const refused: [name: string, build: () => unknown, detail: RegExp][] = [
    ['an odd name', () => defineService({ name: 'My Service', routes: [one] }), /lower-case letter.*got "My Service"/],
    ['no routes', () => defineService({ name: 'a', routes: [] }), /list of 1\.\.256 routes/],
    [
      'a route not made by route()',
      () => defineService({ name: 'a', routes: [{ ...one }] }),
      /routes\[0\] to be made by/,
    ],
    ['another statement', () => withSchema('DROP TABLE things'), /expected CREATE TABLE IF NOT EXISTS/],
    ['a table made once only', () => withSchema('CREATE TABLE things (a INT)'), /expected CREATE TABLE IF NOT EXISTS/],
    ['two statements in one', () => withSchema(`${table}; DROP TABLE things ()`), /two statements/],
    ['the platform’s tables', () => withSchema('CREATE TABLE IF NOT EXISTS tl_log (a INT)'), /are taken/],
    [
      'an odd table name',
      () => withSchema('CREATE TABLE IF NOT EXISTS `Things` (a INT)'),
      /expected a name of at most 48/,
    ],
    ['a table twice', () => withSchema(table, table), /there twice/],
    [
      'generated ids',
      () => withSchema('CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY AUTOINCREMENT)'),
      /counter column/,
    ],
    ['generated times', () => withSchema('CREATE TABLE IF NOT EXISTS t (a TEXT DEFAULT CURRENT_TIMESTAMP)'), /tx\.now/],
    ['MySQL’s own clauses', () => withSchema(`${table} ENGINE=InnoDB`), /leave it out/],
    ['SQLite’s own clauses', () => withSchema(`${table} WITHOUT ROWID`), /leave it out/],
    [
      'a table filled from a query',
      () => withSchema('CREATE TABLE IF NOT EXISTS t (a) AS SELECT (1)'),
      /from a handler/,
    ],
    [
      'a schema that is no list',
      () => defineService({ name: 'a', schema: table as never, routes: [one] }),
      /list of SQL/,
    ],
  ];
  for (const [name, build, detail] of refused) {
    it(`refuses ${name}`, () => assert.match(refusal(build), detail));
  }

  it('refuses an index on a table that is not its own', () => {
    const index = 'CREATE INDEX IF NOT EXISTS things_by_size ON things (size)';
    assert.deepEqual(withSchema(table, index).tables, ['things']);
    assert.match(
      refusal(() => withSchema(index, table)),
      /expected an index on a table created above it, got 'things'/,
    );
  });

  it('knows the tables of its schema', () => {
    assert.deepEqual(withSchema(table, 'create table if not exists  others(a INT, b INT) ;').tables, [
      'things',
      'others',
    ]);
  });
});

describe('reply', () => {
  const lines = (headers: Record<string, string | string[]>): string => reply(200, {}, headers).headers;

  it('writes header lines with names in lower case', () => {
    assert.equal(
      lines({ 'X-One': '1', 'set-cookie': ['a=1', 'b=2'] }),
      ['content-type: application/json', 'x-one: 1', 'set-cookie: a=1', 'set-cookie: b=2', ''].join('\r\n'),
    );
  });

  it('lets a handler set the content type, once', () => {
    assert.equal(
      lines({ 'Content-Type': 'application/vnd.things+json' }),
      'content-type: application/vnd.things+json\r\n',
    );
    assert.equal(rawReply(200, 'text/plain', 'x').headers, 'content-type: text/plain\r\n');
    assert.equal(rawReply(200, '', 'x').headers, '');
    assert.equal(reply(204, undefined, { etag: '"1"' }).headers, 'etag: "1"\r\n');
  });

  const bad: [name: string, build: () => unknown][] = [
    ['a line break in a value', () => lines({ a: 'x\r\nset-cookie: y' })],
    ['NUL in a value', () => lines({ a: 'x\0' })],
    ['a value outside Latin-1', () => lines({ a: '€' })],
    ['a value that is no text', () => lines({ a: 5 as never })],
    ['a name that is no token', () => lines({ 'a b': 'x' })],
    ['an empty name', () => lines({ '': 'x' })],
    ['content-length', () => lines({ 'Content-Length': '5' })],
    ['transfer-encoding', () => lines({ 'transfer-encoding': 'chunked' })],
    ['connection', () => lines({ connection: 'close' })],
    ['date', () => lines({ date: 'x' })],
    ['x-request-id', () => lines({ 'x-request-id': 'x' })],
    ['server-timing', () => lines({ 'server-timing': 'x' })],
    ['more than 8 KiB of headers', () => lines({ a: 'x'.repeat(8192) })],
    ['more than 64 headers', () => lines({ a: Array(65).fill('x') })],
    ['a line break in a content type', () => rawReply(200, 'text/plain\n', 'x')],
    ['a status below 200', () => reply(100, 'x')],
    ['a status that is no number', () => reply('200' as never, 'x')],
    ['a value with 204', () => reply(204, 'x')],
    ['a body with 304', () => rawReply(304, 'text/plain', 'x')],
  ];
  for (const [name, build] of bad) {
    it(`refuses ${name}`, () => void refusal(build, 'REPLY_INVALID'));
  }
});

describe('problem', () => {
  it('carries its status, title, name and detail', () => {
    const made = problem(409, 'insufficient-funds', 'Insufficient funds', 'expected at most 5, got 6');
    assert.equal(made.code, 'SERVICE_PROBLEM');
    assert.deepEqual(
      [made.status, made.problem, made.title, made.detail],
      [409, 'insufficient-funds', 'Insufficient funds', 'expected at most 5, got 6'],
    );
  });

  it('is a defect of the service with a status that is no error, or an odd name', () => {
    assert.equal(problem(200, 'fine', 'Fine', '').code, 'REPLY_INVALID');
    assert.equal(problem(409, 'Not Fine', 'Fine', '').code, 'REPLY_INVALID');
  });

  it('bounds its detail', () => {
    assert.equal(problem(409, 'long', 'Long', 'x'.repeat(5000)).detail.length, 1024);
  });
});

describe('integerText', () => {
  const schema = integerText({ min: -5, max: 1000 });
  it('reads integers in decimal', () => {
    assert.deepEqual(
      ['0', '-5', '1000', '007'].map((text) => schema.parse(text)),
      [0, -5, 1000, 7],
    );
  });
  for (const text of ['', ' 5', '5 ', '1e2', '0x10', '1.0', '1001', '-6', '--1', '9'.repeat(17), '٣']) {
    it(`refuses '${text}'`, () => assert.equal(schema.safeParse(text).success, false));
  }
});
