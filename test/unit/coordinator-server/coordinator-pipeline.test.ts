import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  CoordinatorPipeline,
  EXPIRE_EVERY_MS,
  RESEND_EVERY_MS,
} from '../../../coordinator-server/coordinator-pipeline.ts';
import type { Publication } from '../../../coordinator-server/publication.ts';
import { StatePublisher } from '../../../coordinator-server/state-publisher.ts';
import type { Link } from '../../../shared/link/link.ts';
import { silentLogger } from '../../../shared/log.ts';
import { PublishedStateFile } from '../../../shared/published-state-file.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { smallClusterConfig } from '../../support/small-cluster.ts';

const PEER = { role: 'app', serverId: 'g1a', incarnation: '0123456789abcdef' } as const;
const JOIN = {
  tier: 'app',
  serverId: 'g1a',
  incarnation: PEER.incarnation,
  listen: '127.0.0.1:1',
  admin: '127.0.0.1:2',
  version: '1',
  stateEpoch: 0,
  mapEpoch: 0,
};

/** What the pipeline needs of a link. */
class FakeLink {
  readonly peer = PEER;
  readonly said: { topic: string; value: unknown }[] = [];
  closedWith = '';
  takes = true;

  notify(topic: string, value: unknown): boolean {
    if (this.takes) this.said.push({ topic, value });
    return this.takes;
  }

  close(code: string): void {
    this.closedWith = code;
  }

  get asLink(): Link {
    return this as unknown as Link;
  }

  topics(): string[] {
    return this.said.map(({ topic }) => topic);
  }
}

let folder: string;
let clock: ManualClock;
let publisher: StatePublisher;
let pipeline: CoordinatorPipeline;
let link: FakeLink;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-pipeline-'));
  clock = new ManualClock();
  const file = new PublishedStateFile(join(folder, 'state.json'), (value) => value as Publication);
  publisher = new StatePublisher({
    keeper: file,
    term: 1,
    log: silentLogger,
    clock,
    onPublished: (state) => pipeline.publish(state),
  });
  pipeline = new CoordinatorPipeline({ publisher, log: silentLogger, clock });
  pipeline.offerConfig(smallClusterConfig());
  publisher.begin();
  await publisher.settled();
  link = new FakeLink();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function tell(topic: string, value: unknown): void {
  pipeline.linkHandlers.onNotice?.(link.asLink, topic, value);
}

/** Time passes with the ticks that a running process has. */
function pass(ms: number): void {
  for (let passedMs = 0; passedMs < ms; passedMs += EXPIRE_EVERY_MS) {
    clock.advance(EXPIRE_EVERY_MS);
    pipeline.onTick();
  }
}

function leaseKind(): string | undefined {
  return pipeline.members.get('g1a')?.lease.kind;
}

test('a link is sent the state when it opens and the lease when it joins', () => {
  pipeline.linkHandlers.onOpen?.(link.asLink);
  tell('join', JOIN);
  assert.deepEqual(link.topics(), ['state', 'lease']);
  assert.deepEqual(link.said[1]?.value, { sequence: 0, ttlMs: 1_000 });
});

test('a member that falls silent is declared dead when its lease is over', () => {
  tell('join', JOIN);
  pass(950);
  assert.equal(leaseKind(), 'alive');
  pass(50);
  assert.equal(leaseKind(), 'expired');
});

test('after the coordinator itself was stopped, renewals that wait are read before anybody is declared dead', () => {
  tell('join', JOIN);
  clock.advance(30_000);
  pipeline.onTick();
  tell('renew', { sequence: 1, load: null });
  pass(100);
  assert.equal(leaseKind(), 'alive');
  pass(1_000);
  assert.equal(leaseKind(), 'expired');
});

test('a renewal of a lease that is over is told so', () => {
  tell('join', JOIN);
  pass(1_000);
  tell('renew', { sequence: 3, load: null });
  assert.deepEqual(link.said.at(-1), { topic: 'lease', value: { sequence: 3, ttlMs: 0 } });
});

test('a link that could not take the state gets it again until it does', () => {
  link.takes = false;
  pipeline.linkHandlers.onOpen?.(link.asLink);
  link.takes = true;
  pass(RESEND_EVERY_MS * 3);
  assert.deepEqual(link.topics(), ['state']);
});

test('the same refusal is kept with the instant it was first made', () => {
  pipeline.refuseConfig('CONFIG_INVALID', ['a']);
  const first = pipeline.refusal;
  clock.advance(10);
  pipeline.refuseConfig('CONFIG_INVALID', ['a']);
  assert.equal(pipeline.refusal, first);
  pipeline.refuseConfig('CONFIG_INVALID', ['b']);
  assert.deepEqual(pipeline.refusal?.reasons, ['b']);
});

test('a file put back to what is published lifts the refusal', () => {
  pipeline.refuseConfig('CONFIG_INVALID', ['a']);
  pipeline.offerConfig(smallClusterConfig());
  assert.equal(pipeline.refusal?.stands, false);
});

test('whatever a peer says, it is answered by a closed link and never by a thrown error', () => {
  for (const value of [undefined, null, 0, '', [], {}, { sequence: {} }, { __proto__: null }]) {
    for (const topic of ['join', 'renew', 'state', '', '__proto__']) {
      link = new FakeLink();
      tell(topic, value);
      assert.equal(link.closedWith, 'LINK_FRAME_INVALID', `${topic} ${JSON.stringify(value)}`);
    }
  }
});
