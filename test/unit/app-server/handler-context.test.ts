import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoreDoor } from '../../../app-server/handler-runner.ts';
import { type Context, type Park, route } from '../../../app-server/sdk/sdk.ts';
import type { WriteRequest } from '../../../db/replicated-store.ts';
import { HandlerBench, serviceOf, serviceWith, settled } from '../../support/handler-bench.ts';
import { ManualClock } from '../../support/manual-clock.ts';

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

describe('the park in the context', () => {
  it('is asked for only by handlers that use it', async () => {
    let opened = 0;
    const park = {
      get park(): Park {
        opened += 1;
        return { get: async () => undefined } as unknown as Park;
      },
    };
    const without = new HandlerBench([serviceWith((ctx) => ctx.account)], { park });
    assert.equal((await without.json('GET', '/x')).value, 'alice');
    assert.equal(opened, 0);
    const using = serviceWith(async (ctx) => (await ctx.park.get('config', 'flags')) ?? 'none');
    assert.equal((await new HandlerBench([using], { park }).json('GET', '/x')).value, 'none');
    assert.equal(opened, 1);
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

  it('hands the fence of a write on', async () => {
    const fence = { name: 'locks/nightly', token: 7 };
    const writes = await written({}, async (ctx) => {
      await ctx.db.write(async () => 1, { fence });
      await write(ctx);
    });
    assert.deepEqual(
      writes.map((request) => request.fence),
      [fence, undefined],
    );
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
