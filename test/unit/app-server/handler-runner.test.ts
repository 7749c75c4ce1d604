import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoreDoor } from '../../../app-server/handler-runner.ts';
import {
  type Context,
  defineService,
  problem,
  type RouteDefinition,
  rawReply,
  reply,
  route,
  type ServiceDefinition,
  z,
} from '../../../app-server/sdk/sdk.ts';
import type { WriteRequest } from '../../../db/replicated-store.ts';
import type { Clock } from '../../../shared/clock.ts';
import { PlatformError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { HandlerBench } from '../../support/handler-bench.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const serviceOf = (...routes: RouteDefinition[]): ServiceDefinition => defineService({ name: 'test', routes });

/** A service with `GET /x`. */
const serviceWith = (handler: (ctx: Context) => unknown): ServiceDefinition =>
  serviceOf(route({ method: 'GET', path: '/x', handler }));

interface LogLine {
  readonly level: string;
  readonly fields: Record<string, unknown>;
}

function recordingLog(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const note = (level: string) => (fields: Record<string, unknown>) => void lines.push({ level, fields });
  const log = { warn: note('warn'), error: note('error'), info: note('info') };
  return { log: log as unknown as Logger, lines };
}

/** A promise that the test settles. */
function deferred(): {
  promise: Promise<unknown>;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
} {
  return Promise.withResolvers<unknown>();
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

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

describe('a handler that fails', () => {
  const secret = 'password is swordfish';
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const hostile = new Proxy(new Error('x'), {
    get() {
      throw new Error(secret);
    },
  });
  const defects: [name: string, handler: () => unknown, code: string][] = [
    [
      'throws an Error',
      () => {
        throw new Error(secret);
      },
      'HANDLER_FAILED',
    ],
    [
      'throws a text',
      () => {
        throw secret;
      },
      'HANDLER_FAILED',
    ],
    [
      'throws undefined',
      () => {
        // biome-ignore lint/style/useThrowOnlyError: handlers may throw anything
        throw undefined;
      },
      'HANDLER_FAILED',
    ],
    [
      'throws what throws when looked at',
      () => {
        throw hostile;
      },
      'HANDLER_FAILED',
    ],
    ['rejects', () => Promise.reject(new Error(secret)), 'HANDLER_FAILED'],
    ['returns a function', () => () => secret, 'REPLY_INVALID'],
    ['returns a cycle', () => cyclic, 'REPLY_INVALID'],
    [
      'returns what throws when made JSON',
      () => ({
        toJSON() {
          throw new Error(secret);
        },
      }),
      'REPLY_INVALID',
    ],
    ['gives a bad header', () => reply(200, 'x', { a: `${secret}\n` }), 'REPLY_INVALID'],
    [
      'makes a bad problem',
      () => {
        throw problem(200, 'x', 'x', secret);
      },
      'REPLY_INVALID',
    ],
    [
      'passes on a database’s message',
      () => {
        throw new PlatformError('STATEMENT_FAILED', secret);
      },
      'STATEMENT_FAILED',
    ],
  ];
  for (const [name, handler, code] of defects) {
    it(`by what ${name} answers ${code}, tells the client nothing of it and logs it`, async () => {
      const { log, lines } = recordingLog();
      const bench = new HandlerBench([serviceWith(handler)], { log });
      const { error } = await bench.ask('GET', '/x');
      assert.equal(error?.code, code);
      assert.equal(error.status, 500);
      assert.match(error.detail, /^GET \/x: .*log/);
      assert.ok(!error.detail.includes(secret));
      assert.equal(lines.length, 1);
      assert.equal(lines[0]?.fields.requestId, 'request-1');
      assert.equal(bench.runner.running, 0);
    });
  }

  for (const [name, handler] of [
    [
      'throws',
      () => {
        throw problem(409, 'taken', 'Taken', 'choose another');
      },
    ],
    ['returns', () => problem(409, 'taken', 'Taken', 'choose another')],
    [
      'rejects with',
      async () => {
        throw problem(409, 'taken', 'Taken', 'choose another');
      },
    ],
  ] as const) {
    it(`with a problem it ${name} passes that on, unlogged`, async () => {
      const { log, lines } = recordingLog();
      const answer = await new HandlerBench([serviceWith(handler)], { log }).json('GET', '/x');
      assert.deepEqual(answer, {
        status: 409,
        value: { code: 'SERVICE_PROBLEM', problem: 'taken', detail: 'choose another' },
      });
      assert.equal(lines.length, 0);
    });
  }

  it('writes a bounded number of log lines, each bounded', async () => {
    const { log, lines } = recordingLog();
    const bench = new HandlerBench(
      [
        serviceWith(() => {
          throw new Error('x'.repeat(1_000_000));
        }),
      ],
      {
        log,
        clock: new ManualClock(),
      },
    );
    for (let i = 0; i < 100; i += 1) await bench.ask('GET', '/x');
    assert.equal(lines.length, 20);
    assert.ok(String(lines[0]?.fields.defect).length <= 4096);
  });

  it('does not take the server with it when the pipeline’s outcome throws', () => {
    const { log, lines } = recordingLog();
    const bench = new HandlerBench([serviceWith(() => 'x')], { log });
    const throws = (): void => {
      throw new Error('pipeline');
    };
    bench.runner.run(bench.request('GET', '/x'), { reply: throws, fail: () => assert.fail('called twice') });
    assert.equal(lines.length, 1);
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

describe('a request that reaches no handler', () => {
  const bench = new HandlerBench([serviceWith(() => 'x')]);
  for (const [method, target, code] of [
    ['GET', '/y', 'ROUTE_UNKNOWN'],
    ['POST', '/x', 'METHOD_NOT_ALLOWED'],
    ['GET', '/%zz', 'REQUEST_INVALID'],
  ] as const) {
    it(`${method} ${target} is ${code}`, async () => {
      assert.equal((await bench.ask(method, target)).error?.code, code);
    });
  }

  it('because its deadline has passed is DEADLINE_EXCEEDED', async () => {
    assert.equal((await bench.ask('GET', '/x', { timeoutMs: 0 })).error?.code, 'DEADLINE_EXCEEDED');
  });
});

describe('a handler that overruns', () => {
  it('is answered for at the deadline, once; its signal aborts and its late result is counted', async () => {
    const clock = new ManualClock();
    const { promise, resolve } = deferred();
    let signal: AbortSignal | undefined;
    const bench = new HandlerBench(
      [
        serviceWith((ctx) => {
          signal = ctx.signal;
          return promise;
        }),
      ],
      { clock },
    );
    const asked = bench.ask('GET', '/x', { timeoutMs: 500 });
    clock.advance(499);
    assert.equal(signal?.aborted, false);
    clock.advance(5);
    assert.equal((await asked).error?.code, 'DEADLINE_EXCEEDED');
    assert.equal(signal?.aborted, true);
    assert.equal(bench.runner.running, 1);
    resolve('late');
    await settled();
    assert.equal(bench.runner.running, 0);
    assert.deepEqual(bench.runner.counts, { failed: 1, overran: 1, cancelled: 0, late: 1, blocked: 0 });
  });

  it('may reject late without harm', async () => {
    const clock = new ManualClock();
    const { promise, reject } = deferred();
    const bench = new HandlerBench([serviceWith(() => promise)], { clock });
    const asked = bench.ask('GET', '/x', { timeoutMs: 10 });
    clock.advance(20);
    await asked;
    reject(new Error('late'));
    await settled();
    assert.equal(bench.runner.counts.late, 1);
  });

  it('gets an aborted signal when it first asks for one after the deadline', async () => {
    const clock = new ManualClock();
    let context: Context | undefined;
    const bench = new HandlerBench(
      [
        serviceWith((ctx) => {
          context = ctx;
          return deferred().promise;
        }),
      ],
      { clock },
    );
    const asked = bench.ask('GET', '/x', { timeoutMs: 10 });
    clock.advance(20);
    await asked;
    assert.equal(context?.signal.aborted, true);
    assert.equal(context.deadlineMs, 0);
  });

  it('gets no more from its database', async () => {
    const clock = new ManualClock();
    let context: Context | undefined;
    let reads = 0;
    const store: StoreDoor = {
      async read() {
        reads += 1;
        return [];
      },
      write: () => assert.fail('wrote'),
    };
    const service = serviceWith((ctx) => {
      context = ctx;
      return deferred().promise;
    });
    const bench = new HandlerBench([service], { clock, store });
    const asked = bench.ask('GET', '/x', { timeoutMs: 10 });
    await context?.db.read('SELECT 1');
    clock.advance(20);
    await asked;
    await assert.rejects(async () => context?.db.read('SELECT 1'), { code: 'DEADLINE_EXCEEDED' });
    await assert.rejects(async () => context?.db.write(async () => 1), { code: 'DEADLINE_EXCEEDED' });
    assert.equal(reads, 1);
  });

  it('for good is forgotten after a minute', async () => {
    const clock = new ManualClock();
    const bench = new HandlerBench([serviceWith(() => deferred().promise)], { clock });
    const asked = bench.ask('GET', '/x', { timeoutMs: 10 });
    clock.advance(50);
    await asked;
    assert.equal(bench.runner.running, 1);
    clock.advance(60_100);
    assert.equal(bench.runner.running, 0);
    assert.equal(clock.pendingTimers, 0);
  });

  it('by blocking the event loop is logged with how long it took', async () => {
    let nowMs = 0;
    const clock: Clock = Object.assign(new ManualClock(), { nowMs: () => nowMs });
    const { log, lines } = recordingLog();
    const bench = new HandlerBench(
      [
        serviceWith(() => {
          nowMs += 250;
          return 'x';
        }),
      ],
      { clock, log },
    );
    assert.equal((await bench.json('GET', '/x')).status, 200);
    assert.equal(lines[0]?.fields.blockedMs, 250);
    assert.equal(bench.runner.counts.blocked, 1);
  });
});

describe('a cancelled request', () => {
  it('fails with CANCELLED at once, aborts the signal and drops the result', async () => {
    const { promise, resolve } = deferred();
    let signal: AbortSignal | undefined;
    const bench = new HandlerBench([
      serviceWith((ctx) => {
        signal = ctx.signal;
        return promise;
      }),
    ]);
    const request = bench.request('GET', '/x');
    const asked = bench.answer(request);
    request.onCancel?.();
    assert.equal((await asked).error?.code, 'CANCELLED');
    assert.equal(signal?.aborted, true);
    assert.equal(request.onCancel, null);
    resolve('late');
    await settled();
    assert.deepEqual(bench.runner.counts, { failed: 1, overran: 0, cancelled: 1, late: 1, blocked: 0 });
    bench.runner.close();
  });

  it('has nothing to call once it was answered', async () => {
    const bench = new HandlerBench([serviceWith(async () => 'x')]);
    const request = bench.request('GET', '/x');
    const asked = bench.answer(request);
    const cancel = request.onCancel;
    await asked;
    assert.equal(request.onCancel, null);
    cancel?.();
    await settled();
    assert.equal(bench.runner.counts.cancelled, 0);
  });
});

describe('too many handlers at once', () => {
  it('are refused with QUEUE_FULL, until one ends', async () => {
    const { promise, resolve } = deferred();
    const bench = new HandlerBench([serviceWith(() => promise)], { clock: new ManualClock() });
    const codes: (string | undefined)[] = [];
    const outcome = { reply: () => undefined, fail: ({ code }: PlatformError) => void codes.push(code) };
    const request = bench.request('GET', '/x');
    for (let i = 0; i < 65_537; i += 1) bench.runner.run(request, outcome);
    assert.deepEqual([bench.runner.running, codes], [65_536, ['QUEUE_FULL']]);
    resolve('x');
    await settled();
    assert.equal(bench.runner.running, 0);
  });
});

describe('closing the runner', () => {
  it('answers what still runs with DRAINING and leaves no timer', async () => {
    const clock = new ManualClock();
    const bench = new HandlerBench([serviceWith(() => deferred().promise)], { clock });
    const asked = Promise.all([bench.ask('GET', '/x'), bench.ask('GET', '/x')]);
    bench.runner.close();
    assert.deepEqual(
      (await asked).map(({ error }) => error?.code),
      ['DRAINING', 'DRAINING'],
    );
    assert.equal(clock.pendingTimers, 0);
    assert.equal(bench.runner.running, 0);
  });
});

describe('the context', () => {
  it('tells who asks, how and for how long', async () => {
    const service = serviceOf(
      route({
        method: 'GET',
        path: '/x/:account/:b',
        handler: (ctx, { params, query }) => ({
          ...{ account: ctx.account, bucket: ctx.bucket, requestId: ctx.requestId, path: ctx.path },
          ...{ traceparent: ctx.traceparent, deadlineMs: ctx.deadlineMs, params, query },
        }),
      }),
    );
    const bench = new HandlerBench([service], { clock: new ManualClock() });
    const { value } = await bench.json('GET', '/x/al%2Fice/2?a=1&a=%32&b=x+y&c', {
      account: 'al/ice',
      traceparent: '00-t',
    });
    assert.deepEqual(value, {
      account: 'al/ice',
      bucket: 7,
      requestId: 'request-1',
      path: '/x/al%2Fice/2',
      traceparent: '00-t',
      deadlineMs: 5000,
      params: { account: 'al/ice', b: '2' },
      query: { a: ['1', '2'], b: 'x y', c: '' },
    });
  });

  it('finds headers by name, whatever the case, and joins repeated ones', async () => {
    const names = ['A', 'x-a', 'a', 'b', 'empty', 'none', 'last'];
    const service = serviceWith((ctx) => names.map((name) => ctx.header(name) ?? null));
    const headerBlock = 'x-a:0\na:1\nb: a:2 \nempty:\na:3\nlast:9';
    assert.deepEqual((await new HandlerBench([service]).json('GET', '/x', { headerBlock })).value, [
      ...['1, 3', '0', '1, 3', 'a:2', ''],
      ...[null, '9'],
    ]);
  });
});

describe('the database in the context', () => {
  function recordingStore(clock: ManualClock): StoreDoor & { writes: WriteRequest[]; reads: unknown[] } {
    const writes: WriteRequest[] = [];
    const reads: unknown[] = [];
    return {
      writes,
      reads,
      async read(...args) {
        reads.push(args);
        clock.advance(2);
        return [];
      },
      async write(request, run) {
        writes.push(request);
        clock.advance(3);
        return { value: await run({} as never), replayed: false };
      },
    };
  }

  async function written(
    fields: object,
    handler: (ctx: Context) => unknown,
    target = '/x/alice',
  ): Promise<WriteRequest[]> {
    const clock = new ManualClock();
    const store = recordingStore(clock);
    const service = serviceOf(
      route({ method: 'POST', path: '/x/:account', handler }),
      route({ method: 'POST', path: '/y/:account', handler }),
    );
    const { error } = await new HandlerBench([service], { store, clock }).ask('POST', target, fields);
    if (error !== undefined) throw error;
    return store.writes;
  }

  const write = (ctx: Context): Promise<number> => ctx.db.write(async () => 1);

  it('hands statements on with the deadline and sums up its time', async () => {
    const clock = new ManualClock();
    const store = recordingStore(clock);
    const service = serviceWith(async (ctx) => {
      await ctx.db.read('SELECT ?', [1]);
      await ctx.db.read('SELECT 2');
      return ctx.db.write(async () => 'written');
    });
    const bench = new HandlerBench([service], { store, clock });
    const request = bench.request('GET', '/x');
    assert.equal((await bench.answer(request)).reply?.body, '"written"');
    assert.deepEqual(store.reads, [
      ['SELECT ?', [1], request.deadlineAtMs],
      ['SELECT 2', [], request.deadlineAtMs],
    ]);
    assert.equal(request.dbMicros, 7000);
  });

  it('numbers the writes of one request', async () => {
    const writes = await written({}, async (ctx) => {
      for (let i = 0; i < 3; i += 1) await write(ctx);
    });
    assert.deepEqual(
      writes.map(({ requestId }) => requestId),
      ['request-1', 'request-1.1', 'request-1.2'],
    );
    assert.deepEqual(new Set(writes.map(({ fingerprint }) => fingerprint)).size, 1);
    assert.deepEqual([writes[0]?.account, writes[0]?.bucket], ['alice', 7]);
  });

  it('tells requests apart by method, target and body', async () => {
    const prints = new Set<string>();
    for (const [target, body] of [
      ['/x/alice', 'a'],
      ['/x/alice', 'b'],
      ['/x/alice?', 'a'],
      ['/x/bob', 'a'],
    ] as const) {
      prints.add((await written({ body }, write, target))[0]?.fingerprint ?? '');
    }
    assert.equal(prints.size, 4);
  });

  it('takes the id from account, route and Idempotency-Key when there is one', async () => {
    const idOf = async (key: string, fields: object = {}, target = '/x/alice'): Promise<string> =>
      (await written({ headerBlock: `idempotency-key:${key}\n`, ...fields }, write, target))[0]?.requestId ?? '';
    const id = await idOf('key');
    assert.match(id, /^k:[0-9a-f]{64}$/);
    assert.equal(await idOf('key', { requestId: 'other' }), id);
    assert.equal(
      new Set([id, await idOf('other'), await idOf('key', { account: 'bob' }), await idOf('key', {}, '/y/alice')]).size,
      4,
    );
  });

  for (const key of ['', 'x'.repeat(256), 'ké', 'a\tb']) {
    it(`refuses ${JSON.stringify(key.slice(0, 9))} (${key.length}) as Idempotency-Key`, async () => {
      const headerBlock = `idempotency-key:${key}\n`;
      await assert.rejects(written({ headerBlock }, write), { code: 'IDEMPOTENCY_KEY_INVALID' });
    });
  }

  it('never ends the process through a failed statement that nobody awaits', async () => {
    const store: StoreDoor = {
      read: () => Promise.reject(new Error('read')),
      write: () => Promise.reject(new Error('write')),
    };
    const service = serviceWith((ctx) => {
      void ctx.db.read('SELECT 1');
      void ctx.db.write(async () => 1);
      return 'x';
    });
    let unhandled = 0;
    const note = (): void => {
      unhandled += 1;
    };
    process.on('unhandledRejection', note);
    try {
      assert.equal((await new HandlerBench([service], { store }).json('GET', '/x')).status, 200);
      await settled();
      await settled();
    } finally {
      process.off('unhandledRejection', note);
    }
    assert.equal(unhandled, 0);
  });
});
