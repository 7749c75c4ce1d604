import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppMetrics } from '../../../app-server/app-metrics.ts';
import { AppPipeline } from '../../../app-server/app-pipeline.ts';
import type { AppRequest } from '../../../app-server/app-request.ts';
import type { HandlerRunner } from '../../../app-server/handler-runner.ts';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import {
  forwardRequest,
  handlerMicrosOf,
  queueMicrosOf,
  REPLY_HEAD_BYTES,
  readError,
  replyHeaderBytesOf,
} from '../../../shared/envelope.ts';
import { PlatformError } from '../../../shared/errors.ts';
import type { StreamOwner } from '../../../shared/link/link.ts';
import { Metrics } from '../../../shared/metrics.ts';
import { Tick } from '../../../shared/queue/tick.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type LinkPair, openPair } from '../../support/link-pair.ts';
import { type RequestParts, requestFrame } from '../../support/request-frame.ts';
import { smallBucketMap, smallClusterConfig } from '../../support/small-cluster.ts';

/** What a dispatcher hears of one of its requests. */
class Waiting implements StreamOwner {
  readonly heard: string[] = [];
  headers = '';
  queueMicros = 0;
  handlerMicros = 0;
  by: unknown;
  streamId = 0;

  onReply(message: Buffer, start: number, end: number): void {
    const bodyAt = start + REPLY_HEAD_BYTES + replyHeaderBytesOf(message, start);
    this.headers = message.toString('latin1', start + REPLY_HEAD_BYTES, bodyAt);
    this.queueMicros = queueMicrosOf(message, start);
    this.handlerMicros = handlerMicrosOf(message, start);
    this.heard.push(`reply ${message.toString('utf8', bodyAt, end)}`);
  }

  onError(message: Buffer, start: number, end: number): void {
    const { error, by } = readError(message, start, end);
    this.by = by;
    this.heard.push(error.code);
  }

  onLost(): void {
    this.heard.push('lost');
  }
}

/** A runner whose handlers end when the test says so, as handler-runner.ts promises: one outcome each. */
class HandRunner {
  readonly running: AppRequest[] = [];
  readonly cancelled: AppRequest[] = [];
  /** Set: handlers answer at once. */
  atOnce = false;
  /** What a handler does before it answers. */
  compute: () => void = () => {};

  run(request: AppRequest): void {
    this.compute();
    if (this.atOnce) return request.reply({ status: 200, headers: '', body: 'at once' });
    this.running.push(request);
    request.onCancel = () => {
      request.onCancel = null;
      this.cancelled.push(request);
      request.fail(new PlatformError('CANCELLED', 'a test'));
    };
  }

  end(index: number, body: string): void {
    this.running[index]?.reply({ status: 200, headers: 'a: b\r\n', body });
  }
}

/** An app server of group g1 (buckets 0..49) and a dispatcher in front of it. */
class Bench {
  readonly clock = new FakeClock();
  readonly runner = new HandRunner();
  readonly pipeline: AppPipeline;
  readonly front: LinkPair;
  readonly tick = new Tick(this.clock);
  readonly config: ClusterConfig = smallClusterConfig();

  constructor(queues?: ClusterConfig['queues']) {
    if (queues !== undefined) this.config.queues = queues;
    const { tick } = this;
    const metrics = new Metrics({ serverId: 'g1a', tier: 'app' }, { processMetrics: false });
    const pipeline = new AppPipeline({
      config: this.config,
      serverId: 'g1a',
      groupId: 'g1',
      runner: this.runner as unknown as HandlerRunner,
      metrics: new AppMetrics(metrics),
      clock: this.clock,
      tick,
    });
    this.pipeline = pipeline;
    this.front = openPair({
      clock: this.clock,
      tick,
      listenerHandlers: {
        onRequest: (link, streamId, message, start, end) => pipeline.onRequest(link, streamId, message, start, end),
        onCancel: (link, streamId) => pipeline.onCancel(link, streamId),
        onClosed: (link) => pipeline.onOriginClosed(link),
      },
    });
  }

  map(groupOfAll?: 0 | 1): this {
    const map = smallBucketMap(1);
    this.pipeline.applyState(
      this.config,
      groupOfAll === undefined ? map : { ...map, owners: map.owners.map(() => groupOfAll) },
    );
    return this;
  }

  /** A dispatcher asks. The turn does not end: what it wrote has not left yet. */
  write(parts: RequestParts = {}, bucket = 10): Waiting {
    const owner = new Waiting();
    const link = this.front.dialer;
    owner.streamId = link.openStream(owner);
    const found = {
      remainingMs: 5_000,
      bucketMapEpoch: 1,
      bucket,
      attempt: 0,
      waitedMicros: 0,
      accountKey: Buffer.from('alice'),
      accountKeyStart: 0,
      accountKeyEnd: 5,
    };
    forwardRequest(link.writer, owner.streamId, requestFrame(parts), found);
    link.endStreamFrame();
    return owner;
  }

  ask(parts: RequestParts = {}, bucket = 10): Waiting {
    const owner = this.write(parts, bucket);
    this.front.settle();
    return owner;
  }

  assertAtRest(): void {
    assert.deepEqual([this.pipeline.inFlight, this.pipeline.queue.waiting, this.pipeline.queue.out], [0, 0, 0]);
  }
}

const queueOf = (capacity: number, concurrency: number): ClusterConfig['queues'] => ({
  interactive: { weight: 1, capacity, capacityBytes: 100_000, waitMsMax: 1_000, concurrency },
});

test('a request is run with everything it came with, and its reply says who served it and for how long', () => {
  const bench = new Bench().map();
  const owner = bench.ask({ method: 'POST', target: '/a?b=c', headerBlock: 'x:y\n', body: 'hé', counter: 5 });
  const request = bench.runner.running[0] ?? assert.fail('expected a handler to run');
  const { requestId, account, bucket, method, target, headerBlock, traceparent, deadlineAtMs } = request;
  assert.deepEqual(
    {
      requestId,
      account,
      bucket,
      method,
      target,
      headerBlock,
      traceparent,
      body: Buffer.from(request.body).toString(),
    },
    {
      requestId: '00000001000000020000000000000005',
      account: 'alice',
      bucket: 10,
      method: 'POST',
      target: '/a?b=c',
      headerBlock: 'x:y\n',
      traceparent: '',
      body: 'hé',
    },
  );
  assert.equal(deadlineAtMs, bench.clock.nowMs() + 5_000);
  bench.clock.advance(20);
  bench.runner.end(0, 'done');
  bench.front.settle();
  assert.deepEqual(owner.heard, ['reply done']);
  assert.equal(owner.headers, 'a: b\r\nx-group: g1\r\nx-served-by: g1a\r\n');
  assert.deepEqual([owner.handlerMicros, owner.queueMicros], [20_000, 0]);
  bench.assertAtRest();
});

test('S4: of handlers that compute few are started in one turn of the event loop, and all of them in the end', () => {
  const bench = new Bench().map();
  const startedIn = new Map<number, number>();
  bench.runner.atOnce = true;
  bench.runner.compute = () => {
    startedIn.set(bench.tick.turn, (startedIn.get(bench.tick.turn) ?? 0) + 1);
    bench.clock.stall(1);
  };
  for (let count = 0; count < 10; count++) bench.write();
  bench.front.settle();
  assert.deepEqual([...startedIn.values()], [3, 3, 3, 1]);
  bench.assertAtRest();
});

test('S2: a request of another group’s bucket, or of one that does not exist, is never run', () => {
  const bench = new Bench().map();
  for (const bucket of [50, 99, 100, 65_535]) {
    const owner = bench.ask({}, bucket);
    assert.deepEqual([owner.heard, owner.by], [['WRONG_GROUP'], { group: 'g1', servedBy: 'g1a' }]);
  }
  assert.equal(bench.runner.running.length, 0);
  bench.assertAtRest();
});

test('S2: a bucket that moved while its request waited in the queue is not served any more', () => {
  const bench = new Bench(queueOf(10, 1)).map();
  const [, waiting] = [bench.ask(), bench.ask()];
  bench.map(1);
  bench.runner.end(0, 'first');
  bench.front.settle();
  assert.deepEqual([waiting.heard, bench.runner.running.length], [['WRONG_GROUP'], 1]);
  bench.assertAtRest();
});

test('without a map nothing is run', () => {
  const bench = new Bench();
  assert.deepEqual([bench.ask().heard, bench.pipeline.mapped], [['NOT_READY'], false]);
});

test('a group that is not in the map owns nothing', () => {
  const bench = new Bench();
  bench.pipeline.applyState(bench.config, { ...smallBucketMap(1), groupIds: ['g8', 'g9'] });
  assert.deepEqual(bench.ask().heard, ['WRONG_GROUP']);
});

test('concurrency is a setting: what is over it waits, and a full queue is said at once', () => {
  const bench = new Bench(queueOf(1, 2)).map();
  const owners = [bench.ask(), bench.ask(), bench.ask(), bench.ask()];
  assert.deepEqual([bench.runner.running.length, owners[3]?.heard], [2, ['QUEUE_FULL']]);
  bench.clock.advance(30);
  bench.runner.end(0, 'one');
  bench.front.settle();
  assert.equal(bench.runner.running.length, 3);
  bench.runner.end(1, 'two');
  bench.runner.end(2, 'three');
  bench.front.settle();
  assert.deepEqual(
    owners.map(({ heard }) => heard[0]),
    ['reply one', 'reply two', 'reply three', 'QUEUE_FULL'],
  );
  assert.equal(owners[2]?.queueMicros, 30_000);
  bench.assertAtRest();
});

test('handlers that answer at once run one after the other, each within its concurrency', () => {
  const bench = new Bench(queueOf(50, 1)).map();
  bench.runner.atOnce = true;
  const owners = Array.from({ length: 20 }, () => bench.write());
  bench.front.settle();
  for (const { heard } of owners) assert.deepEqual(heard, ['reply at once']);
  bench.assertAtRest();
});

test('S3: a request cancelled while it waits is dropped before any work is done for it', () => {
  const bench = new Bench(queueOf(10, 1)).map();
  bench.ask();
  const waiting = bench.ask();
  bench.front.dialer.cancelStream(waiting.streamId);
  bench.front.settle();
  bench.runner.end(0, 'x');
  bench.front.settle();
  assert.deepEqual([waiting.heard, bench.runner.running.length], [[], 1]);
  bench.assertAtRest();
});

test('a cancel reaches the handler once, frees its place, and nothing is sent for it', () => {
  const bench = new Bench(queueOf(10, 1)).map();
  const owner = bench.ask();
  const next = bench.ask();
  for (let count = 0; count < 2; count++) bench.pipeline.onCancel(bench.front.listener, owner.streamId);
  bench.front.settle();
  assert.equal(bench.runner.cancelled.length, 1);
  bench.runner.end(1, 'next');
  bench.front.settle();
  assert.deepEqual([owner.heard, next.heard], [[], ['reply next']]);
  bench.assertAtRest();
});

test('a dispatcher that is gone cancels all it had, running and waiting', () => {
  const bench = new Bench(queueOf(10, 1)).map();
  const owners = [bench.ask(), bench.ask()];
  bench.front.breakWire();
  bench.clock.settle();
  assert.deepEqual([bench.runner.cancelled.length, bench.runner.running.length], [1, 1]);
  for (const { heard } of owners) assert.deepEqual(heard, ['lost']);
  bench.assertAtRest();
});

test('S1: a handler that fails is answered with its error and who failed', () => {
  const bench = new Bench().map();
  const owner = bench.ask();
  bench.runner.running[0]?.fail(new PlatformError('HANDLER_FAILED', 'x'));
  bench.front.settle();
  assert.deepEqual([owner.heard, owner.by], [['HANDLER_FAILED'], { group: 'g1', servedBy: 'g1a' }]);
  bench.assertAtRest();
});

test('a stopping app server refuses what is new and answers what it has', () => {
  const bench = new Bench().map();
  const before = bench.ask();
  bench.pipeline.drain();
  assert.deepEqual(bench.ask().heard, ['DRAINING']);
  bench.runner.end(0, 'done');
  bench.front.settle();
  assert.deepEqual([before.heard, bench.pipeline.inFlight], [['reply done'], 0]);
});

test('bytes are given back to the sender for what is run, refused and dropped alike', () => {
  const bench = new Bench().map();
  bench.runner.atOnce = true;
  const body = new Uint8Array(1024 * 1024);
  for (let count = 0; count < 30; count++) bench.ask({ body }, count % 2 === 0 ? 10 : 90);
  assert.ok(bench.front.dialer.open && bench.front.dialer.writable);
});

test('a REQUEST whose parts do not fit its frame closes the link it came on', () => {
  const bench = new Bench().map();
  const link = bench.front.dialer;
  const owner = new Waiting();
  link.writer.beginFrame(3, 0, 0, link.openStream(owner), 100);
  link.endStreamFrame();
  bench.front.settle();
  assert.deepEqual([link.open, owner.heard], [false, ['lost']]);
});
