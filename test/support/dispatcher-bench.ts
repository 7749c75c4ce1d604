/** A dispatcher's pipeline over links in memory: an interface server in front, two groups of app servers behind. */
import assert from 'node:assert/strict';
import { DispatcherMetrics } from '../../dispatcher-server/dispatcher-metrics.ts';
import { DispatcherPipeline } from '../../dispatcher-server/dispatcher-pipeline.ts';
import { GroupLane } from '../../dispatcher-server/group-lane.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { REPLY_HEAD_BYTES, readError, replyHeaderBytesOf } from '../../shared/envelope.ts';
import { FRAME_TYPE } from '../../shared/link/frame.ts';
import type { Link, StreamOwner } from '../../shared/link/link.ts';
import { Metrics } from '../../shared/metrics.ts';
import { Tick } from '../../shared/queue/tick.ts';
import { bucketOfKey } from '../../shared/routing/jdk-hash.ts';
import { Answering } from './answering.ts';
import { FakeClock } from './fake-clock.ts';
import { type FakePeer, FakePool } from './fake-pool.ts';
import { identity, type LinkPair, openPair, settleAll } from './link-pair.ts';
import { type RequestParts, requestFrame } from './request-frame.ts';
import { smallBucketMap, smallClusterConfig } from './small-cluster.ts';

/** What an interface server hears of one of its requests. */
export class Waiting implements StreamOwner {
  readonly heard: string[] = [];
  streamId = 0;

  onReply(message: Buffer, start: number, end: number): void {
    const bodyAt = start + REPLY_HEAD_BYTES + replyHeaderBytesOf(message, start);
    this.heard.push(`reply ${message.toString('utf8', bodyAt, end)}`);
  }

  onError(message: Buffer, start: number, end: number): void {
    this.heard.push(readError(message, start, end).error.code);
  }

  onLost(): void {
    this.heard.push('lost');
  }
}

export interface App {
  readonly server: Answering;
  readonly pair: LinkPair;
  readonly peer: FakePeer;
  /** Its link breaks. */
  lose(): void;
}

/** Two groups: g1 (buckets 0..49) with app servers a and b, g2 with c; one interface server in front. */
export class DispatcherBench {
  readonly clock = new FakeClock();
  readonly tick = new Tick(this.clock);
  readonly config: ClusterConfig;
  readonly pipeline: DispatcherPipeline;
  readonly pools = [new FakePool(), new FakePool()] as const;
  readonly lanes: readonly GroupLane[];
  readonly front: LinkPair;
  readonly a: App;
  readonly b: App;
  readonly c: App;
  #requests = 0;

  constructor(change: (config: ClusterConfig) => void = () => {}) {
    this.config = smallClusterConfig();
    change(this.config);
    const metrics = new Metrics({ serverId: 'd1', tier: 'dispatcher' }, { processMetrics: false });
    this.pipeline = new DispatcherPipeline({
      config: this.config,
      metrics: new DispatcherMetrics(metrics),
      clock: this.clock,
      tick: this.tick,
    });
    this.lanes = this.pools.map(
      (pool, index) =>
        new GroupLane(
          `g${index + 1}`,
          this.config.queues,
          this.tick,
          () => pool.pool,
          (lane, request) => this.pipeline.handOn(lane, request),
        ),
    );
    const { clock, tick, pipeline } = this;
    this.front = openPair({
      clock,
      tick,
      listenerHandlers: {
        onRequest: (link, streamId, message, start, end) => pipeline.onRequest(link, streamId, message, start, end),
        onCancel: (link, streamId) => pipeline.onCancel(link, streamId),
        onClosed: (link) => pipeline.onOriginClosed(link),
      },
    });
    this.a = this.#app('a', 0);
    this.b = this.#app('b', 0);
    this.c = this.#app('c', 1);
  }

  #app(id: string, group: 0 | 1): App {
    const server = new Answering();
    const { clock, tick } = this;
    const listenerIdentity = identity({ role: 'app', serverId: id, incarnation: '00000000000000a1' });
    const pair = openPair({ clock, tick, listenerIdentity, listenerHandlers: server.handlers });
    const peer = this.pools[group].add(id, pair.dialer);
    const lose = (): void => {
      peer.openLink = undefined;
      peer.working = false;
      pair.breakWire();
      this.lanes[group]?.scanner.wake();
    };
    return { server, pair, peer, lose };
  }

  map(epoch = 1): this {
    this.pipeline.applyState(this.config, smallBucketMap(epoch), this.lanes);
    return this;
  }

  settle(): void {
    settleAll([this.front, this.a.pair, this.b.pair, this.c.pair]);
  }

  /** Time passes, and everything that it leads to happens. */
  pass(forMs: number): void {
    for (let doneMs = 0; doneMs < forMs; doneMs += 5) {
      this.clock.advance(5);
      this.settle();
    }
  }

  /** An interface server asks. */
  ask(parts: RequestParts = {}): Waiting {
    const owner = new Waiting();
    const link: Link = this.front.dialer;
    owner.streamId = link.openStream(owner);
    const { message } = requestFrame({
      streamId: owner.streamId,
      counter: ++this.#requests,
      pathAccountKey: KEY_G1,
      ...parts,
    });
    link.writer.reserve(message.length);
    link.writer.beginFrame(FRAME_TYPE.REQUEST, message[5] as number, 0, owner.streamId, message.readUInt32LE(12));
    link.writer.at += message.copy(link.writer.buffer, link.writer.at, 16);
    link.endStreamFrame();
    this.settle();
    return owner;
  }

  /** Requests that came to each app server so far. */
  get taken(): number[] {
    return [this.a, this.b, this.c].map(({ server }) => server.taken.length);
  }

  /** The app server of g1 that has the request, and the other one. */
  get holder(): { has: App; other: App } {
    return this.a.server.taken.length > 0 ? { has: this.a, other: this.b } : { has: this.b, other: this.a };
  }

  assertAtRest(): void {
    assert.equal(this.pipeline.inFlight, 0, 'in flight');
    for (const { queue } of this.lanes) assert.deepEqual([queue.waiting, queue.out], [0, 0]);
    assert.equal(this.pipeline.heldCount, 0, 'held');
  }
}

function keyIn(first: number, last: number): string {
  for (let index = 0; ; index++) {
    const bucket = bucketOfKey(`key${index}`, 'jdk-string', 100);
    if (bucket >= first && bucket <= last) return `key${index}`;
  }
}
const KEY_G1 = keyIn(0, 49);
export const KEY_G2 = keyIn(50, 99);
