/** The client against a coordinator that is only a listener, so that it can say what a real one never would. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../../shared/clock.ts';
import { CoordinationClient } from '../../../shared/coordination-client.ts';
import type { Link } from '../../../shared/link/link.ts';
import { LinkListener } from '../../../shared/link/link-listener.ts';
import { linkSettingsOf } from '../../../shared/link/link-settings.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { PublishedState } from '../../../shared/published-state.ts';
import { eventually } from '../../support/eventually.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { smallClusterConfig, smallState } from '../../support/small-cluster.ts';

const INCARNATION = '0123456789abcdef';
const settings = linkSettingsOf(smallClusterConfig());

interface Notice {
  readonly topic: string;
  readonly value: { sequence?: number; load?: unknown; stateEpoch?: number; serverId?: string };
}

let folder: string;
let stateFile: string;
let closers: (() => void)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-client-'));
  stateFile = join(folder, 'g1a', 'published-state.json');
});

afterEach(async () => {
  for (const close of closers.reverse()) close();
  closers = [];
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

interface FakeCoordinator {
  readonly address: string;
  readonly heard: Notice[];
  readonly links: Set<Link>;
  /** Lease granted at each join and renewal; undefined: no answer. */
  ttlMs: number | undefined;
  say(topic: string, value: unknown): void;
  close(): void;
}

async function fakeCoordinator(address?: string): Promise<FakeCoordinator> {
  const links = new Set<Link>();
  const heard: Notice[] = [];
  const listener = new LinkListener({
    address: address ?? (await freeAddress()),
    identity: { cluster: 'small', token: 't', role: 'coordinator', serverId: 'c1', incarnation: 'fedcba9876543210' },
    acceptRoles: ['app'],
    settings,
    log: silentLogger,
    handlers: {
      onOpen: (link) => void links.add(link),
      onClosed: (link) => void links.delete(link),
      onNotice: (link, topic, value) => {
        const notice = { topic, value: value as Notice['value'] };
        heard.push(notice);
        if (fake.ttlMs !== undefined && topic !== 'leave') {
          link.notify('lease', { sequence: notice.value.sequence ?? 0, ttlMs: fake.ttlMs });
        }
      },
    },
  });
  const fake: FakeCoordinator = {
    address: await listener.listen(),
    heard,
    links,
    ttlMs: 300,
    say: (topic, value) => {
      for (const link of links) link.notify(topic, value);
    },
    close: () => listener.close(),
  };
  closers.push(() => fake.close());
  return fake;
}

interface Server {
  readonly client: CoordinationClient;
  readonly epochs: number[];
}

function startServer(
  coordinator: string,
  options: { onState?: (state: PublishedState) => void; load?: () => unknown } = {},
): Server {
  const epochs: number[] = [];
  const client = new CoordinationClient({
    coordinators: [coordinator],
    identity: { cluster: 'small', token: 't', role: 'app', serverId: 'g1a', incarnation: INCARNATION },
    membership: {
      tier: 'app',
      serverId: 'g1a',
      incarnation: INCARNATION,
      listen: 'h:1',
      admin: 'h:2',
      version: '1',
      routes: [],
    },
    settings,
    stateFile,
    log: silentLogger,
    loadReport: options.load,
    onState: (state) => {
      options.onState?.(state);
      epochs.push(state.epoch);
    },
  });
  closers.push(() => client.close());
  client.start();
  return { client, epochs };
}

function kept(): Promise<number> {
  return readFile(stateFile, 'utf8').then(
    (text) => (JSON.parse(text.split('\n')[1] ?? '') as PublishedState).epoch,
    () => 0,
  );
}

test('a server joins, renews its lease with its load, and leaves when it closes', async () => {
  const coordinator = await fakeCoordinator();
  const { client } = startServer(coordinator.address, { load: () => ({ inFlight: 4 }) });
  await eventually('two renewals', () => coordinator.heard.length >= 3);
  const [first, second, third] = coordinator.heard;
  assert.deepEqual([first?.topic, first?.value.serverId, first?.value.stateEpoch], ['join', 'g1a', 0]);
  assert.deepEqual([second?.topic, second?.value], ['renew', { sequence: 1, load: { inFlight: 4 } }]);
  assert.deepEqual([third?.topic, third?.value.sequence], ['renew', 2]);
  client.close();
  await eventually('leave', () => coordinator.heard.at(-1)?.topic === 'leave');
});

test('a lease is believed in while it is renewed and no longer than it was granted for', async () => {
  const coordinator = await fakeCoordinator();
  const { client } = startServer(coordinator.address);
  await eventually('a lease', () => client.leaseUntilMs > systemClock.nowMs());
  assert.ok(client.leaseUntilMs <= systemClock.nowMs() + 300);
  coordinator.ttlMs = undefined;
  await eventually('the end of the lease', () => client.leaseUntilMs < systemClock.nowMs());
  assert.equal(client.connected, true);
});

test('a server whose lease the coordinator no longer knows joins again', async () => {
  const coordinator = await fakeCoordinator();
  startServer(coordinator.address);
  await eventually('a renewal', () => coordinator.heard.some((notice) => notice.topic === 'renew'));
  const before = coordinator.heard.length;
  coordinator.ttlMs = 0;
  await eventually('a renewal that is refused', () => coordinator.heard.length > before);
  coordinator.ttlMs = 300;
  await eventually('another join', () => coordinator.heard.slice(before).some((notice) => notice.topic === 'join'));
});

test('a load report that fails or is too large does not cost the lease', async () => {
  const coordinator = await fakeCoordinator();
  let calls = 0;
  startServer(coordinator.address, {
    load: () => {
      if (calls++ === 0) throw new Error('no load today');
      return 'x'.repeat(100_000);
    },
  });
  await eventually('two renewals', () => coordinator.heard.length >= 3);
  assert.deepEqual(
    coordinator.heard.slice(1, 3).map((notice) => notice.value.load),
    [{ omitted: 'no load today' }, { omitted: 'too large' }],
  );
});

test('a newer state is taken up and kept on disk; an older or equal one is ignored', async () => {
  const coordinator = await fakeCoordinator();
  const { client, epochs } = startServer(coordinator.address);
  await eventually('the link', () => coordinator.links.size === 1);
  for (const epoch of [5, 5, 4, 6]) coordinator.say('state', smallState(epoch));
  await eventually('epoch 6 on disk', async () => (await kept()) === 6);
  assert.deepEqual(epochs, [5, 6]);
  assert.deepEqual(client.state, smallState(6));
});

test('the state on disk is handed over before start returns, without any coordinator', async () => {
  const coordinator = await fakeCoordinator();
  startServer(coordinator.address);
  await eventually('the link', () => coordinator.links.size === 1);
  coordinator.say('state', smallState(9));
  await eventually('epoch 9 on disk', async () => (await kept()) === 9);
  const later = startServer('127.0.0.1:1');
  assert.deepEqual(later.epochs, [9]);
  assert.equal(later.client.connected, false);
});

test('a server tells the epoch that it acts on when it joins', async () => {
  const first = await fakeCoordinator();
  const { client } = startServer(first.address);
  await eventually('the link', () => first.links.size === 1);
  first.say('state', smallState(9));
  await eventually('epoch 9 on disk', async () => (await kept()) === 9);
  first.close();
  await eventually('the loss', () => !client.connected);
  const second = await fakeCoordinator(first.address);
  const join = await eventually('another join', () => second.heard[0]);
  assert.deepEqual([join.topic, join.value.stateEpoch], ['join', 9]);
});

test('a state that does not fit is refused and the next one that does is taken up', async () => {
  const coordinator = await fakeCoordinator();
  const { client, epochs } = startServer(coordinator.address);
  await eventually('the link', () => coordinator.links.size === 1);
  coordinator.say('state', smallState(1));
  for (const bad of [null, 7, {}, { ...smallState(2), routes: 'none' }, { ...smallState(3), epoch: 'high' }]) {
    coordinator.say('state', bad);
  }
  coordinator.say('state', { ...smallState(8), config: { ...smallState(8).config, cluster: 'other' } });
  coordinator.say('state', smallState(4));
  await eventually('epoch 4', () => epochs.includes(4));
  assert.deepEqual(epochs, [1, 4]);
  assert.equal(client.connected, true);
});

test('a state that the server cannot take up is not kept', async () => {
  const coordinator = await fakeCoordinator();
  const { client, epochs } = startServer(coordinator.address, {
    onState: (state) => {
      if (state.epoch === 2) throw new Error('no room for this one');
    },
  });
  await eventually('the link', () => coordinator.links.size === 1);
  for (const epoch of [1, 2]) coordinator.say('state', smallState(epoch));
  await eventually('epoch 1 on disk', async () => (await kept()) === 1);
  assert.equal(client.state?.epoch, 1);
  coordinator.say('state', smallState(3));
  await eventually('epoch 3 on disk', async () => (await kept()) === 3);
  assert.deepEqual(epochs, [1, 3]);
});

test('a damaged file is set aside and the server starts without it', async () => {
  const coordinator = await fakeCoordinator();
  startServer(coordinator.address);
  await eventually('the link', () => coordinator.links.size === 1);
  coordinator.say('state', smallState(9));
  await eventually('epoch 9 on disk', async () => (await kept()) === 9);
  await writeFile(stateFile, (await readFile(stateFile, 'utf8')).replace('g1/r1.db', 'g2/r1.db'));
  assert.deepEqual(startServer('127.0.0.1:1').epochs, []);
  assert.match(await readFile(`${stateFile}.damaged`, 'utf8'), /trunkline-published-state/);
});

test('the coordinator goes away and comes back, and the server joins it again', async () => {
  const first = await fakeCoordinator();
  const { client } = startServer(first.address);
  await eventually('the link', () => client.connected);
  first.close();
  await eventually('the loss', () => !client.connected);
  const second = await fakeCoordinator(first.address);
  await eventually('another join', () => second.heard.some((notice) => notice.topic === 'join'));
});

test('a lease notice that is none closes the link, and the server dials again', async () => {
  const coordinator = await fakeCoordinator();
  const { client } = startServer(coordinator.address);
  await eventually('the link', () => coordinator.links.size === 1);
  const [before] = coordinator.links;
  coordinator.say('lease', { sequence: 'first', ttlMs: 'long' });
  await eventually(
    'another link',
    () => client.connected && !coordinator.links.has(before as Link) && coordinator.links.size === 1,
  );
});
