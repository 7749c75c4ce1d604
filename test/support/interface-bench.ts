/** An interface server's pipeline over links in memory: clients played by the test in front, two dispatchers behind. */
import assert from 'node:assert/strict';
import { InterfaceMetrics } from '../../interface-server/interface-metrics.ts';
import { InterfacePipeline } from '../../interface-server/interface-pipeline.ts';
import { silentLogger } from '../../shared/log.ts';
import { Metrics } from '../../shared/metrics.ts';
import type { PublishedState, RouteEntry } from '../../shared/published-state.ts';
import { Tick } from '../../shared/queue/tick.ts';
import { Answering } from './answering.ts';
import { FakeClock } from './fake-clock.ts';
import { type FakePeer, FakePool } from './fake-pool.ts';
import { FakeResponse, fakeRequest, type RequestLine } from './fake-web.ts';
import { identity, type LinkPair, openPair, settleAll } from './link-pair.ts';
import { smallState } from './small-cluster.ts';

export const INCARNATION = 'ffeeddccbbaa9988';

const route = (fields: Partial<RouteEntry>): RouteEntry => ({
  service: 'test',
  method: '*',
  pattern: '/echo',
  accountParam: null,
  requestClass: 'interactive',
  contentTypes: [],
  ...fields,
});

const ROUTES = [
  route({}),
  route({ method: 'PUT', pattern: '/accounts/:account', accountParam: 'account' }),
  route({ method: 'GET', pattern: '/accounts/:account', accountParam: 'account' }),
  route({ method: 'POST', pattern: '/json', contentTypes: ['application/json'] }),
  route({ pattern: '/quiet', requestClass: 'background' }),
];

export interface Dispatcher {
  readonly server: Answering;
  readonly pair: LinkPair;
  readonly peer: FakePeer;
  lose(): void;
}

/** An interface server with two dispatchers behind it. */
export class InterfaceBench {
  readonly clock = new FakeClock();
  readonly tick = new Tick(this.clock);
  readonly pool = new FakePool();
  readonly pipeline: InterfacePipeline;
  readonly state: PublishedState;
  readonly d1: Dispatcher;
  readonly d2: Dispatcher;

  constructor(change: (state: PublishedState) => void = () => {}) {
    this.state = { ...smallState(1), routes: ROUTES };
    change(this.state);
    const metrics = new Metrics({ serverId: 'i1', tier: 'interface' }, { processMetrics: false });
    this.pipeline = new InterfacePipeline({
      config: this.state.config,
      incarnation: INCARNATION,
      pool: this.pool.pool,
      metrics: new InterfaceMetrics(metrics),
      log: silentLogger,
      clock: this.clock,
      tick: this.tick,
    });
    this.d1 = this.#dispatcher('d1');
    this.d2 = this.#dispatcher('d2');
  }

  #dispatcher(id: string): Dispatcher {
    const server = new Answering();
    const pair = openPair({
      clock: this.clock,
      tick: this.tick,
      dialerIdentity: identity({ role: 'interface', serverId: 'i1' }),
      listenerIdentity: identity({ role: 'app', serverId: id }),
      acceptRoles: ['interface'],
      listenerHandlers: server.handlers,
    });
    const peer = this.pool.add(id, pair.dialer);
    const lose = (): void => {
      peer.openLink = undefined;
      peer.working = false;
      pair.breakWire();
    };
    return { server, pair, peer, lose };
  }

  map(): this {
    this.pipeline.applyState(this.state);
    return this;
  }

  settle(): void {
    settleAll([this.d1.pair, this.d2.pair]);
  }

  pass(forMs: number): void {
    for (let doneMs = 0; doneMs < forMs; doneMs += 5) {
      this.clock.advance(5);
      this.settle();
    }
  }

  /** A client asks; its body comes when the test sends it. */
  ask(line: RequestLine = {}): FakeResponse {
    const response = new FakeResponse();
    this.pipeline.accept(response.web, fakeRequest({ target: '/echo', ...line }));
    this.settle();
    return response;
  }

  /** The dispatcher that has got a request, and the other one. */
  get holder(): { has: Dispatcher; other: Dispatcher } {
    return this.d1.server.taken.length > 0 ? { has: this.d1, other: this.d2 } : { has: this.d2, other: this.d1 };
  }

  /** The dispatcher that has a request it has not answered answers its newest. */
  reply(body: string): void {
    const has = [this.d1, this.d2].find(({ server }) => server.taken.length > server.answers);
    (has ?? assert.fail('expected a request to wait for its reply')).server.reply(-1, body);
    this.settle();
  }

  assertAtRest(): void {
    const { queue, inFlight } = this.pipeline;
    assert.deepEqual([inFlight, queue.waiting, queue.out], [0, 0, 0]);
  }
}
