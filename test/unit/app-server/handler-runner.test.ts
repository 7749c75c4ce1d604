import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoreDoor } from '../../../app-server/handler-runner.ts';
import { type Context, problem, reply } from '../../../app-server/sdk/sdk.ts';
import type { Clock } from '../../../shared/clock.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { HandlerBench, recordingLog, serviceWith, settled } from '../../support/handler-bench.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** A promise that the test settles. */
function deferred(): {
  promise: Promise<unknown>;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
} {
  return Promise.withResolvers<unknown>();
}

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
    assert.equal(bench.outcomes, 1);
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
    assert.equal(bench.outcomes, 1);
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
    assert.equal(bench.outcomes, 1);
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
    assert.equal(bench.outcomes, 1);
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
