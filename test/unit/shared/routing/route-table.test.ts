import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PlatformError } from '../../../../shared/errors.ts';
import { type RouteMatch, RouteTable } from '../../../../shared/routing/route-table.ts';

function tableOf(...routes: string[]): RouteTable<string> {
  return RouteTable.build(
    routes.map((route) => {
      const [method = '', pattern = ''] = route.split(' ');
      return { method, pattern, value: route };
    }),
  );
}

/** `GET /a/:x {"x":"1"}`, or why not. */
function text(match: RouteMatch<string>): string {
  if (match.kind !== 'found') return match.kind;
  return Object.keys(match.params).length === 0 ? match.value : `${match.value} ${JSON.stringify(match.params)}`;
}

const accounts = tableOf(
  'PUT /accounts/:account',
  'GET /accounts/:account',
  'GET /accounts/:account/entries',
  'POST /accounts/:account/deposits',
  '* /echo',
);

describe('route table', () => {
  const cases: [method: string, path: string, expected: string][] = [
    ['GET', '/accounts/alice', 'GET /accounts/:account {"account":"alice"}'],
    ['PUT', '/accounts/alice', 'PUT /accounts/:account {"account":"alice"}'],
    ['GET', '/accounts/alice?limit=1&x=%zz', 'GET /accounts/:account {"account":"alice"}'],
    ['GET', '/accounts/alice/entries', 'GET /accounts/:account/entries {"account":"alice"}'],
    ['HEAD', '/accounts/alice', 'GET /accounts/:account {"account":"alice"}'],
    ['OPTIONS', '/accounts/alice', 'none'],
    ['get', '/accounts/alice', 'none'],
    ['GET', '/Accounts/alice', 'none'],
    ['GET', '/accounts/alice/', 'none'],
    ['GET', '/accounts//entries', 'none'],
    ['GET', '/accounts/', 'none'],
    ['GET', '/accounts', 'none'],
    ['GET', '//accounts/alice', 'none'],
    ['GET', '/echo', '* /echo'],
    ['PURGE', '/echo', '* /echo'],
    ['WHATEVER', '/echo?x', '* /echo'],
    ['HEAD', '/echo', '* /echo'],
    ['GET', '/accounts/a%2Fb', 'GET /accounts/:account {"account":"a/b"}'],
    ['GET', '/accounts/a%252Fb', 'GET /accounts/:account {"account":"a%2Fb"}'],
    ['GET', '/accounts/%00', 'GET /accounts/:account {"account":"\\u0000"}'],
    ['GET', '/accounts/%E2%82%AC', 'GET /accounts/:account {"account":"€"}'],
    ['GET', '/%61ccounts/x', 'GET /accounts/:account {"account":"x"}'],
    ['GET', '/accounts/a;b=c', 'GET /accounts/:account {"account":"a;b=c"}'],
    ['GET', '/accounts/a+b', 'GET /accounts/:account {"account":"a+b"}'],
    ['GET', '/accounts/%', 'malformed'],
    ['GET', '/accounts/%2', 'malformed'],
    ['GET', '/accounts/%zz', 'malformed'],
    ['GET', '/accounts/%FF', 'malformed'],
    ['GET', '/accounts/%C0%AF', 'malformed'],
    ['GET', '/accounts/%ED%A0%80', 'malformed'],
    ['GET', '/accounts/%2F%zz/entries', 'malformed'],
    ['GET', '/accounts/a#b', 'malformed'],
    ['GET', 'http://other/accounts/alice', 'malformed'],
    ['GET', '*', 'malformed'],
    ['GET', '', 'malformed'],
  ];
  for (const [method, path, expected] of cases) {
    it(`${method} ${path || 'an empty path'} gives ${expected}`, () => {
      assert.equal(text(accounts.find(method, path)), expected);
    });
  }

  it('decodes any text once, as the client encoded it', () => {
    const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(anyText, (account) => {
        fc.pre(account.isWellFormed());
        const match = accounts.find('GET', `/accounts/${encodeURIComponent(account)}/entries`);
        assert.ok(match.kind === 'found');
        assert.equal(match.params.account, account);
      }),
    );
  });

  it('never throws, and never finds what does not decode', () => {
    const anyPath = fc.string({ unit: fc.constantFrom('/', 'a', '%', '2', 'F', 'C', '0', '?', '#', 'é') });
    fc.assert(
      fc.property(anyPath, (tail) => {
        const match = accounts.find('GET', `/accounts/${tail}`);
        if (match.kind !== 'found') return;
        const raw = tail.split(/[?/]/)[0] ?? '';
        assert.equal(match.params.account, decodeURIComponent(raw));
      }),
    );
  });

  it('prefers a literal segment to a parameter, and a parameter to the rest', () => {
    const table = tableOf('GET /a/:x', 'GET /a/b', 'GET /a/*');
    assert.equal(text(table.find('GET', '/a/b')), 'GET /a/b');
    assert.equal(text(table.find('GET', '/a/c')), 'GET /a/:x {"x":"c"}');
    assert.equal(text(table.find('GET', '/a/c/d%2Fe')), 'GET /a/* {"*":"c/d/e"}');
  });

  it('prefers a named method to any method at the same pattern', () => {
    const table = tableOf('* /a/:x', 'GET /a/:y', 'DELETE /a/:z');
    assert.equal(text(table.find('GET', '/a/1')), 'GET /a/:y {"y":"1"}');
    assert.equal(text(table.find('HEAD', '/a/1')), 'GET /a/:y {"y":"1"}');
    assert.equal(text(table.find('DELETE', '/a/1')), 'DELETE /a/:z {"z":"1"}');
    assert.equal(text(table.find('PATCH', '/a/1')), '* /a/:x {"x":"1"}');
  });

  it('answers HEAD by a HEAD route where there is one', () => {
    const table = tableOf('GET /a', 'HEAD /a', 'GET /b');
    assert.equal(text(table.find('HEAD', '/a')), 'HEAD /a');
    assert.equal(text(table.find('HEAD', '/b')), 'GET /b');
  });

  it('keeps parameters named like Object.prototype members apart from it', () => {
    const match = tableOf('GET /a/:constructor/:toString').find('GET', '/a/1/2');
    assert.ok(match.kind === 'found');
    assert.deepEqual({ ...match.params }, { constructor: '1', toString: '2' });
    assert.equal(match.params.valueOf, undefined);
  });

  it('names the methods of a path, HEAD with GET, for an Allow header', () => {
    assert.deepEqual(accounts.methodsOf('/accounts/alice'), ['GET', 'HEAD', 'PUT']);
    assert.deepEqual(accounts.methodsOf('/accounts/alice/deposits'), ['POST']);
    assert.deepEqual(accounts.methodsOf('/echo'), ['*']);
    assert.deepEqual(accounts.methodsOf('/nothing'), []);
    assert.deepEqual(accounts.methodsOf('/accounts/%zz'), []);
  });

  it('finds nothing in an empty table', () => {
    assert.equal(text(tableOf().find('GET', '/')), 'none');
    assert.equal(text(tableOf('GET /').find('GET', '/')), 'GET /');
  });

  it('takes a parameter as long as a path can be', () => {
    const account = 'a'.repeat(16 * 1024 - 20);
    assert.equal(accounts.find('GET', `/accounts/${account}`).kind, 'found');
  });

  const refused = [
    ['get /a'],
    ['GET a'],
    ['GET /a//b'],
    ['GET /a/'],
    ['GET /a/:'],
    ['GET /a/:x-:y'],
    ['GET /a/:x(\\d+)'],
    ['GET /a/:x?'],
    ['GET /a/*/b'],
    ['GET /a/:x/:x'],
    ['GET /a%2Fb'],
    ['GET /a/:x', 'GET /a/:y'],
    ['* /a', '* /a'],
  ];
  for (const routes of refused) {
    it(`refuses to build ${routes.join(' with ')}`, () => {
      assert.throws(
        () => tableOf(...routes),
        (thrown) => thrown instanceof PlatformError && thrown.code === 'SERVICE_INVALID',
      );
    });
  }
});
