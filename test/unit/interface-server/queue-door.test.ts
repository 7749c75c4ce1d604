/** The door of the queue, seen by the clients of an interface server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PublishedState } from '../../../shared/published-state.ts';
import type { FakeResponse } from '../../support/fake-web.ts';
import { InterfaceBench as Bench } from '../../support/interface-bench.ts';

const codeOf = (response: FakeResponse): unknown => [response.status, response.json['code'], response.json['outcome']];

const oneAtATime = ({ config }: PublishedState): unknown =>
  Object.assign(config.queues, {
    interactive: { weight: 1, capacity: 9, capacityBytes: 99_999, waitMsMax: 1_000, concurrency: 1 },
  });

test('a full queue is said at once with Retry-After, per class', () => {
  const bench = new Bench(({ config }) => {
    config.queues['interactive'] = { weight: 1, capacity: 1, capacityBytes: 99_999, waitMsMax: 1_000, concurrency: 1 };
  }).map();
  const responses = [bench.ask(), bench.ask(), bench.ask()];
  const refused = responses[2] as FakeResponse;
  assert.deepEqual([codeOf(refused), refused.header('retry-after')], [[503, 'QUEUE_FULL', undefined], '1']);
  assert.equal(bench.ask({ target: '/quiet' }).ends, 0);
  assert.deepEqual(
    responses.slice(0, 2).map(({ ends }) => ends),
    [0, 0],
  );
});

test('what has waited as long as its class allows is refused, and costs nobody behind it anything', () => {
  const bench = new Bench(oneAtATime).map();
  const first = bench.ask();
  const waiting = bench.ask();
  bench.pass(1_050);
  assert.deepEqual([codeOf(waiting), waiting.header('retry-after')], [[503, 'QUEUE_FULL', undefined], '1']);
  const second = bench.ask();
  bench.reply('one');
  bench.reply('two');
  assert.deepEqual([first.status, second.status, bench.pool.evidence.length], [200, 200, 2]);
  bench.assertAtRest();
});

test('what would wait longer than its class allows, or its client will, is refused at the door', () => {
  const bench = new Bench(oneAtATime).map();
  bench.ask();
  for (let count = 0; count < 60; count++) {
    bench.ask();
    bench.pass(300); // each waits 300 ms, with nobody ahead
    bench.reply('served');
  }
  const impatient = bench.ask({ headers: [['x-request-timeout-ms', '250']] });
  assert.deepEqual(codeOf(impatient), [503, 'QUEUE_FULL', undefined]);
  const responses = [bench.ask(), bench.ask(), bench.ask(), bench.ask()];
  assert.deepEqual(
    responses.map(({ ends }) => ends),
    [0, 0, 0, 1],
    'the fourth would wait 1.2 s',
  );
});

test('D2: what waits for a dispatcher to be back is not refused for having waited', () => {
  const bench = new Bench().map();
  const peers = [bench.d1.peer, bench.d2.peer];
  for (const peer of peers) peer.working = false;
  bench.pool.awaitsPeer = true;
  const responses = [bench.ask(), bench.ask()];
  bench.pass(1_500);
  assert.deepEqual(
    responses.map(({ ends }) => ends),
    [0, 0],
  );
  for (const peer of peers) peer.working = true;
  bench.pipeline.scanner.wake();
  bench.settle();
  bench.reply('one');
  bench.reply('two');
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200, 200],
  );
});
