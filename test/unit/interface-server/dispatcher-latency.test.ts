/** What an interface server takes for a dispatcher's own latency. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InterfaceBench as Bench } from '../../support/interface-bench.ts';

const times = { queueMicros: 0, dbMicros: 0 };

test('the time that a request was held or worked on behind a dispatcher is not the latency of the dispatcher', () => {
  const bench = new Bench().map();
  bench.ask();
  bench.pass(1_500);
  bench.holder.has.server.reply(0, 'held', 200, '', { ...times, dispatchMicros: 1_200_000, handlerMicros: 290_000 });
  bench.settle();
  assert.deepEqual(bench.pool.latenciesMs.map(Math.round as (ms: number | undefined) => number), [10]);
});

test('an error says nothing about it', () => {
  const bench = new Bench().map();
  bench.ask();
  bench.pass(1_500);
  bench.holder.has.server.fail(0, 'HANDLER_FAILED');
  bench.settle();
  assert.deepEqual([bench.pool.evidence.length, bench.pool.latenciesMs], [1, [undefined]]);
});
