import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rawReply, reply, route, type ServiceDefinition, z } from '../../../app-server/sdk/sdk.ts';
import { HandlerBench, recordingLog, serviceOf, serviceWith } from '../../support/handler-bench.ts';

describe('what a handler returns', () => {
  const cases: [name: string, returns: unknown, status: number, headers: string, body: string][] = [
    ['an object', { a: 1 }, 200, 'content-type: application/json\r\n', '{"a":1}'],
    ['a text', 'x', 200, 'content-type: application/json\r\n', '"x"'],
    ['null', null, 200, 'content-type: application/json\r\n', 'null'],
    ['nothing', undefined, 204, '', ''],
    ['reply', reply(201, [1], { etag: '"1"' }), 201, 'content-type: application/json\r\netag: "1"\r\n', '[1]'],
    ['reply without a value', reply(202, undefined), 202, '', ''],
    ['rawReply', rawReply(200, 'text/plain', 'hi'), 200, 'content-type: text/plain\r\n', 'hi'],
    ['a safe bigint', { n: 9007199254740991n }, 200, 'content-type: application/json\r\n', '{"n":9007199254740991}'],
    [
      'a large bigint',
      { n: -9007199254740993n },
      200,
      'content-type: application/json\r\n',
      '{"n":"-9007199254740993"}',
    ],
  ];
  for (const [name, returns, status, headers, body] of cases) {
    for (const wrapped of [returns, Promise.resolve(returns)]) {
      it(`${name}${wrapped === returns ? '' : ', in a promise'}, becomes ${status} ${body}`, async () => {
        const { reply: answer } = await new HandlerBench([serviceWith(() => wrapped)]).ask('GET', '/x');
        assert.deepEqual({ ...answer }, { status, headers, body });
      });
    }
  }

  it('is sent at once when the handler returns no promise', () => {
    const bench = new HandlerBench([serviceWith(() => 'x')]);
    let calls = 0;
    bench.runner.run(bench.request('GET', '/x'), { reply: () => void calls++, fail: () => assert.fail('failed') });
    assert.equal(calls, 1);
  });

  it('may be any thenable, even one that calls back twice', async () => {
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
      then(resolve: (value: unknown) => void, reject: (reason: unknown) => void) {
        resolve('first');
        resolve('second');
        reject(new Error('third'));
      },
    };
    assert.deepEqual(await new HandlerBench([serviceWith(() => thenable)]).json('GET', '/x'), {
      status: 200,
      value: 'first',
    });
  });

  it('is the same for HEAD as for GET', async () => {
    assert.deepEqual(await new HandlerBench([serviceWith((ctx) => ctx.method)]).json('HEAD', '/x'), {
      status: 200,
      value: 'HEAD',
    });
  });
});

describe('a reply', () => {
  const typed = (handler: () => never): ServiceDefinition =>
    serviceOf(route({ method: 'GET', path: '/x', reply: z.object({ n: z.int() }), handler }));

  it('holds only what its schema names', async () => {
    const service = typed(() => ({ n: 1, internal: 2 }) as never);
    assert.deepEqual(await new HandlerBench([service]).json('GET', '/x'), { status: 200, value: { n: 1 } });
  });

  it('that its schema refuses is REPLY_INVALID; the log says where', async () => {
    const { log, lines } = recordingLog();
    const { error } = await new HandlerBench([typed(() => reply(201, { n: 'x' }) as never)], { log }).ask('GET', '/x');
    assert.equal(error?.code, 'REPLY_INVALID');
    assert.match(String(lines[0]?.fields.defect), /reply\.n: expected number, got "x"/);
  });

  it('is not held to its schema when its status is no success', async () => {
    assert.deepEqual(await new HandlerBench([typed(() => reply(404, { gone: true }) as never)]).json('GET', '/x'), {
      status: 404,
      value: { gone: true },
    });
  });

  it('may be as large as the limit in bytes, and no larger', async () => {
    for (const [body, fits] of [
      ['x'.repeat(100), true],
      ['x'.repeat(101), false],
      ['é'.repeat(50), true],
      ['é'.repeat(51), false],
      [new Uint8Array(100), true],
      [new Uint8Array(101), false],
    ] as const) {
      const service = serviceWith(() => rawReply(200, 'text/plain', body));
      const { error } = await new HandlerBench([service], { replyBytesMax: 100 }).ask('GET', '/x');
      assert.equal(error?.code, fits ? undefined : 'REPLY_TOO_LARGE');
    }
  });
});
