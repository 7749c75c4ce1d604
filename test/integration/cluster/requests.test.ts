/** Requests from a client through all four tiers and back: every sample route, every answer a client may get. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request as rawRequest } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { rawExchange, statusesIn } from '../../support/raw-exchange.ts';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';

let running: TestCluster;
let url = '';

before(async () => {
  running = await startTestCluster({
    change: (config) => {
      config.services.push(path.resolve(import.meta.dirname, '../../support/services/faulty'));
      config.accountKey = {
        sources: [{ path: 'account' }, { header: 'x-account-key' }, { query: 'account' }, { body: '/holder/id' }],
      };
      config.limits.bodyBytesMax = 64 * 1024;
      config.limits.slowClientMs = 1_000;
    },
  });
  url = running.urls[0] as string;
});

after(async () => {
  await running.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into JSON of any shape
  readonly json: any;
}

async function ask(
  method: string,
  target: string,
  options: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const init: RequestInit = { method, headers: options.headers ?? {} };
  if (options.body !== undefined) {
    init.body = typeof options.body === 'string' ? options.body : JSON.stringify(options.body);
    init.headers = { 'content-type': 'application/json', ...options.headers };
  }
  const response = await fetch(`${url}${target}`, init);
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** Fails unless the answer is a problem of that code, with all that every problem has. */
function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.json?.code, code, answer.text);
  assert.equal(answer.status, status);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
  assert.equal(answer.json.status, status);
  assert.equal(answer.json.requestId, answer.headers.get('x-request-id'));
  for (const member of ['type', 'title', 'detail']) assert.equal(typeof answer.json[member], 'string', member);
  assert.equal(typeof answer.json.retryable, 'boolean');
  if (status === 503) assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/);
}

describe('accounts', () => {
  test('an account is created once, then found', async () => {
    assert.deepEqual(await created('ada'), [201, { account: 'ada', balance: 0 }]);
    assert.deepEqual(await created('ada'), [200, { account: 'ada', balance: 0 }]);
    assert.deepEqual((await ask('GET', '/accounts/ada')).json, { account: 'ada', balance: 0 });
  });

  test('deposits and withdrawals change the balance and leave entries', async () => {
    await created('bob');
    const deposit = await ask('POST', '/accounts/bob/deposits', { body: { amount: 5 } });
    assert.equal(deposit.status, 201);
    assert.ok(deposit.text.startsWith('{"account":"bob","balance":5,'), deposit.text);
    assert.equal((await ask('POST', '/accounts/bob/withdrawals', { body: { amount: 2 } })).json.balance, 3);
    const { entries } = (await ask('GET', '/accounts/bob/entries')).json;
    assert.deepEqual(
      entries.map(({ number, amount }: { number: number; amount: number }) => [number, amount]),
      [
        [2, -2],
        [1, 5],
      ],
    );
  });

  test('a withdrawal over the balance is refused and changes nothing', async () => {
    await created('carl');
    const refused = await ask('POST', '/accounts/carl/withdrawals', { body: { amount: 1 } });
    assertProblem(refused, 409, 'SERVICE_PROBLEM');
    assert.equal(refused.json.type, 'urn:problem:insufficient-funds');
    assert.deepEqual((await ask('GET', '/accounts/carl')).json, { account: 'carl', balance: 0 });
  });

  test('an unknown account is a problem of the service', async () => {
    assertProblem(await ask('GET', '/accounts/nobody'), 404, 'SERVICE_PROBLEM');
    assertProblem(await ask('POST', '/accounts/nobody/deposits', { body: { amount: 1 } }), 404, 'SERVICE_PROBLEM');
  });

  test('keys of any script work and stay apart', async () => {
    for (const key of ['Zoë', 'zoë', '李雷', '😀', 'a b', 'a/b', 'x'.repeat(256)]) {
      const target = `/accounts/${encodeURIComponent(key)}`;
      assert.equal((await ask('PUT', target, { body: {} })).status, 201, key);
      assert.deepEqual((await ask('GET', target)).json, { account: key, balance: 0 });
    }
  });

  test('the same Idempotency-Key has one effect and the first reply', async () => {
    await created('dora');
    const headers = { 'idempotency-key': randomUUID() };
    const first = await ask('POST', '/accounts/dora/deposits', { body: { amount: 7 }, headers });
    const again = await ask('POST', '/accounts/dora/deposits', { body: { amount: 7 }, headers });
    assert.deepEqual([again.status, again.text], [first.status, first.text]);
    assert.equal((await ask('GET', '/accounts/dora')).json.balance, 7);
    assertProblem(
      await ask('POST', '/accounts/dora/deposits', { body: { amount: 8 }, headers }),
      422,
      'IDEMPOTENCY_KEY_REUSED',
    );
  });

  test('a client’s x-request-id never decides what counts as a duplicate', async () => {
    await created('emil');
    const headers = { 'x-request-id': 'same' };
    for (const balance of [1, 2]) {
      const answer = await ask('POST', '/accounts/emil/deposits', { body: { amount: 1 }, headers });
      assert.equal(answer.json.balance, balance);
      assert.notEqual(answer.headers.get('x-request-id'), 'same');
    }
  });

  async function created(account: string): Promise<[number, unknown]> {
    const { status, json } = await ask('PUT', `/accounts/${account}`, { body: {} });
    return [status, json];
  }
});

describe('replies', () => {
  test('carry who served them and where the time went', async () => {
    const { headers } = await ask('GET', '/echo?account=alice');
    assert.match(headers.get('x-request-id') ?? '', /^[0-9a-f]{32}$/);
    assert.match(headers.get('x-group') ?? '', /^g[12]$/);
    assert.match(headers.get('x-served-by') ?? '', /^g[12][ab]$/);
    assert.match(
      headers.get('server-timing') ?? '',
      /^queue;dur=[\d.]+, dispatch;dur=[\d.]+, handler;dur=[\d.]+, db;dur=[\d.]+$/,
    );
  });

  test('go round-robin over dispatchers and app servers', async () => {
    const servedBy = new Set<string | null>();
    for (let count = 0; count < 8; count++)
      servedBy.add((await ask('GET', '/echo?account=alice')).headers.get('x-served-by'));
    assert.equal(servedBy.size, 2);
  });

  test('echo gives a body back as it came, whatever the method', async () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      const response = await fetch(`${url}/echo?account=alice`, {
        method,
        body: bytes,
        headers: { 'content-type': 'x/y' },
      });
      assert.equal(response.headers.get('content-type'), 'x/y');
      assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytes);
    }
  });

  test('to HEAD have the head of GET and no body', async () => {
    const get = await ask('GET', '/echo?account=alice');
    const head = await ask('HEAD', '/echo?account=alice');
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    // The echo names its method, which is one letter longer for HEAD.
    assert.equal(Number(head.headers.get('content-length')), get.text.length + 1);
  });

  test('of 204 have no body', async () => {
    const answer = await ask('GET', '/faulty/alice/nothing');
    assert.deepEqual([answer.status, answer.text], [204, '']);
  });

  test('carry a traceparent through to the handler', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { json, headers } = await ask('GET', '/faulty/alice/told', { headers: { traceparent } });
    assert.match(json.traceparent, /^00-0af7651916cd43dd8448eb211c80319c-/);
    assert.equal(json.requestId, headers.get('x-request-id'));
  });
});

describe('the account key', () => {
  const owner = async (target: string, headers: Record<string, string> = {}, body?: unknown): Promise<string> =>
    (
      await ask(body === undefined ? 'GET' : 'POST', target, { headers, ...(body === undefined ? {} : { body }) })
    ).headers.get('x-group') ?? '';

  test('comes from header, query or body, in that order', async () => {
    const [groupOfA, groupOfZ] = [await owner('/echo?account=a'), await owner('/echo?account=zzzz')];
    assert.notEqual(groupOfA, groupOfZ, 'the two keys are in different groups');
    assert.equal(await owner('/echo', { 'x-account-key': 'a' }), groupOfA);
    assert.equal(await owner('/echo?account=zzzz', { 'x-account-key': 'a' }), groupOfA);
    assert.equal(await owner('/echo', {}, { holder: { id: 'zzzz' } }), groupOfZ);
  });

  test('when missing is a 400 that names the sources tried', async () => {
    const answer = await ask('GET', '/echo');
    assertProblem(answer, 400, 'ACCOUNT_KEY_MISSING');
    for (const source of [
      'path parameter "account"',
      'header "x-account-key"',
      'query parameter "account"',
      '/holder/id',
    ]) {
      assert.ok(answer.json.detail.includes(source), source);
    }
  });

  test('when too long or with control characters is a 400', async () => {
    assertProblem(await ask('GET', `/accounts/${'x'.repeat(257)}`), 400, 'ACCOUNT_KEY_INVALID');
    assertProblem(await ask('GET', '/echo?account=a%00b'), 400, 'ACCOUNT_KEY_INVALID');
    assertProblem(await ask('POST', '/echo', { body: '{"holder":{"id":"\\ud800"}}' }), 400, 'ACCOUNT_KEY_INVALID');
  });
});

describe('refusals', () => {
  test('unknown route: 404', async () => {
    assertProblem(await ask('GET', '/nowhere'), 404, 'ROUTE_UNKNOWN');
    assertProblem(await ask('GET', '/accounts/alice/'), 404, 'ROUTE_UNKNOWN');
  });

  test('wrong method: 405 with Allow', async () => {
    const answer = await ask('DELETE', '/accounts/alice');
    assertProblem(answer, 405, 'METHOD_NOT_ALLOWED');
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, PUT');
  });

  test('another content type: 415', async () => {
    const answer = await ask('POST', '/accounts/alice/deposits', {
      body: 'amount=5',
      headers: { 'content-type': 'text/plain' },
    });
    assertProblem(answer, 415, 'CONTENT_TYPE_UNSUPPORTED');
  });

  test('a body over the limit: 413', async () => {
    assertProblem(await ask('POST', '/echo?account=a', { body: 'x'.repeat(64 * 1024 + 1) }), 413, 'BODY_TOO_LARGE');
  });

  test('a body at the limit passes', async () => {
    const body = 'x'.repeat(64 * 1024);
    assert.equal((await ask('POST', '/echo?account=a', { body })).text, body);
  });

  test('too many headers: 431', async () => {
    const headers = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`x-${index}`, 'v']));
    assertProblem(await ask('GET', '/echo?account=a', { headers }), 431, 'HEADERS_TOO_LARGE');
  });

  test('an endless query: 414', async () => {
    assertProblem(await ask('GET', `/echo?account=${'x'.repeat(5_000)}`), 414, 'TARGET_TOO_LONG');
  });

  test('a path that does not decode: 400', async () => {
    assertProblem(await ask('GET', '/accounts/%ff'), 400, 'REQUEST_INVALID');
  });

  test('a body, query or parameter of the wrong shape: 400 with what was expected', async () => {
    for (const body of [{ amount: 0 }, { amount: '5' }, { amount: 1.5 }, {}, { amount: 1, more: 1 }, '{', '']) {
      const answer = await ask('POST', '/accounts/alice/deposits', { body });
      assertProblem(answer, 400, 'BODY_INVALID');
      assert.match(answer.json.detail, /expected/i);
    }
    assertProblem(await ask('GET', '/accounts/alice/entries?limit=0'), 400, 'QUERY_INVALID');
    assertProblem(await ask('GET', '/faulty/numbers/one?account=a'), 400, 'PARAMS_INVALID');
  });

  test('a bad x-request-timeout-ms or Idempotency-Key: 400', async () => {
    for (const value of ['0', '-1', 'soon', '99999999']) {
      assertProblem(
        await ask('GET', '/echo?account=a', { headers: { 'x-request-timeout-ms': value } }),
        400,
        'TIMEOUT_HEADER_INVALID',
      );
    }
    await ask('PUT', '/accounts/fred', { body: {} });
    const headers = { 'idempotency-key': 'x'.repeat(256) };
    assertProblem(
      await ask('POST', '/accounts/fred/deposits', { body: { amount: 1 }, headers }),
      400,
      'IDEMPOTENCY_KEY_INVALID',
    );
  });
});

describe('handlers that go wrong', () => {
  test('one that throws is a 500 that tells the client nothing of its insides', async () => {
    const answer = await ask('GET', '/faulty/alice/throws');
    assertProblem(answer, 500, 'HANDLER_FAILED');
    assert.ok(!answer.text.includes('secret'));
    assert.equal((await ask('GET', '/echo?account=alice')).status, 200);
  });

  test('one that overruns the client’s deadline is a 504 whose outcome is unknown', async () => {
    const answer = await ask('GET', '/faulty/alice/sleeps', { headers: { 'x-request-timeout-ms': '100' } });
    assertProblem(answer, 504, 'DEADLINE_EXCEEDED');
    assert.equal(answer.json.outcome, 'unknown');
  });

  test('one that replies against its schema, too much, or with bad SQL is a 500', async () => {
    assertProblem(await ask('GET', '/faulty/alice/lies'), 500, 'REPLY_INVALID');
    assertProblem(await ask('GET', '/faulty/alice/talks-much'), 500, 'REPLY_TOO_LARGE');
    const answer = await ask('GET', '/faulty/alice/bad-sql');
    assert.equal(answer.status, 500);
  });
});

describe('platform paths', () => {
  test('health, readiness and the error table are public', async () => {
    for (const base of running.urls) {
      assert.equal((await fetch(`${base}/-/health`)).status, 200);
      assert.equal((await fetch(`${base}/-/ready`)).status, 200);
    }
    assert.match((await ask('GET', '/-/errors')).text, /id="account-key-missing"/);
  });

  test('a problem’s type leads to its explanation', async () => {
    const { json } = await ask('GET', '/nowhere');
    const [page, anchor] = json.type.split('#');
    assert.ok((await ask('GET', page)).text.includes(`id="${anchor}"`));
  });

  test('metrics stand on the admin listener only', async () => {
    assert.equal((await ask('GET', '/metrics')).status, 404);
    const [server] = running.config.interface.servers;
    const text = await (await fetch(`http://${server?.admin}/metrics`)).text();
    assert.match(text, /trunkline_requests_total\{status="200"/);
  });
});

test('a client that does not send its body in time is cut off with a 408', async () => {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`POST /echo?account=a HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 100\r\n\r\nonly this`);
  let received = '';
  for await (const chunk of socket.setEncoding('utf8')) received += chunk; // ends: the server closes
  assert.match(received, /^HTTP\/1\.1 408 /);
  assert.match(received, /"code":"CLIENT_TOO_SLOW"/);
});

test('an answer without a body leaves its connection to the next request', async () => {
  for (const line of ['HEAD /echo?account=a', 'HEAD /nowhere', 'GET /faulty/alice/nothing']) {
    const { received } = await rawExchange({
      address: new URL(url).host,
      parts: [`${line} HTTP/1.1\r\nhost: x\r\n\r\n`, 'GET /echo?account=b HTTP/1.1\r\nhost: x\r\n\r\n'],
      until: 'silence',
    });
    assert.equal(statusesIn(received).length, 2, received);
    assert.match(received, /"account":"b"/);
    const lengths = received.match(/^content-length: .*$/gim) ?? [];
    assert.equal(lengths.length, line.startsWith('HEAD') ? 2 : 1, received);
  }
});

test('a chunked body arrives whole', async () => {
  const text = await new Promise<string>((resolve, reject) => {
    const outgoing = rawRequest(
      `${url}/echo?account=a`,
      { method: 'POST', headers: { 'transfer-encoding': 'chunked' } },
      (response) => {
        let received = '';
        response.on('data', (chunk) => {
          received += chunk;
        });
        response.on('end', () => resolve(received));
      },
    );
    outgoing.on('error', reject);
    outgoing.write('one ');
    outgoing.write('two ');
    outgoing.end('three');
  });
  assert.equal(text, 'one two three');
});
