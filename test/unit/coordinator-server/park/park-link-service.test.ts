/** A coordinator's service of the park, asked over a link in memory by a client that the test plays. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import {
  LINK_REQUESTS_MAX,
  LINK_WATCHES_MAX,
  ParkLinkService,
} from '../../../../coordinator-server/park/park-link-service.ts';
import { readError } from '../../../../shared/envelope.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { FRAME_TYPE } from '../../../../shared/link/frame.ts';
import type { LinkRole } from '../../../../shared/link/greeting.ts';
import type { StreamOwner } from '../../../../shared/link/link.ts';
import { silentLogger } from '../../../../shared/log.ts';
import { type EventBatch, PARK_TOPIC } from '../../../../shared/park/park-protocol.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { identity, type LinkPair, openPair } from '../../../support/link-pair.ts';
import { MemoryParkStore } from '../../../support/memory-park-store.ts';

let clock: FakeClock;
let store: MemoryParkStore;
let service: ParkLinkService;
let pair: LinkPair;
let notices: { topic: string; value: unknown }[];
let faults: string[];

beforeEach(() => {
  clock = new FakeClock();
  store = new MemoryParkStore(clock);
  service = new ParkLinkService({ store, log: silentLogger, clock });
  notices = [];
  faults = [];
  pair = linked('dispatcher');
});

function linked(role: LinkRole): LinkPair {
  return openPair({
    clock,
    dialerIdentity: identity({ role }),
    acceptRoles: [role],
    dialerHandlers: { onNotice: (_link, topic, value) => void notices.push({ topic, value }) },
    listenerHandlers: {
      onRequest: (...request) => service.onRequest(...request),
      onNotice: (link, _topic, value) => {
        try {
          service.onHeard(link, value);
        } catch (thrown) {
          faults.push((thrown as PlatformError).code);
        }
      },
      onClosed: (link) => service.onClosed(link),
    },
  });
}

/** Sends a request as it is. @returns its answer, or the code of the error; undefined while there is none */
function send(text: string, over = pair): { answer: unknown } {
  const heard: { answer: unknown } = { answer: undefined };
  const owner: StreamOwner = {
    onReply: (message, start, end) => {
      heard.answer = JSON.parse(message.toString('utf8', start + 16, end));
    },
    onError: (message, start, end) => {
      heard.answer = readError(message, start, end).error.code;
    },
    onLost: () => {},
  };
  const { writer } = over.dialer;
  const streamId = over.dialer.openStream(owner);
  writer.reserve(16 + text.length * 3);
  writer.beginFrame(FRAME_TYPE.REQUEST, 0, 0, streamId, 0);
  writer.at += writer.buffer.write(text, writer.at, 'utf8');
  over.dialer.endStreamFrame();
  return heard;
}

async function settle(over = pair): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds++) {
    over.settle();
    for (let times = 0; times < 10; times++) await Promise.resolve();
  }
  over.settle();
}

async function ask(request: unknown, over = pair): Promise<unknown> {
  const heard = send(typeof request === 'string' ? request : JSON.stringify(request), over);
  await settle(over);
  return heard.answer;
}

const write = (fields: object, rest: object = {}): object => ({
  op: 'write',
  writes: [{ op: 'put', domain: 'd', node: 'n', value: '1', ...fields }],
  ...rest,
});

function batches(): EventBatch[] {
  return notices.filter(({ topic }) => topic === PARK_TOPIC.events).flatMap(({ value }) => value as EventBatch[]);
}

test('writes, reads and lists', async () => {
  assert.deepEqual(await ask(write({})), { revision: 1, nodes: ['n'], versions: [1] });
  assert.deepEqual(await ask(write({ value: '{"ü":"\\n"}' })), { revision: 2, nodes: ['n'], versions: [2] });
  const node = {
    domain: 'd',
    node: 'n',
    value: '{"ü":"\\n"}',
    version: 2,
    createRevision: 1,
    modRevision: 2,
    access: 'all',
    ephemeral: false,
    owner: '',
  };
  assert.deepEqual(await ask({ op: 'get', domain: 'd', node: 'n', seen: 1 }), { revision: 2, node });
  assert.deepEqual(await ask({ op: 'get', domain: 'd', node: 'n', seen: 2 }), { revision: 2 });
  assert.deepEqual(await ask({ op: 'list', domain: 'd', after: '', seen: 1 }), {
    revision: 2,
    nodes: [node],
    next: '',
  });
  assert.deepEqual(await ask({ op: 'list', domain: 'd', after: '', seen: 2 }), {
    revision: 2,
    nodes: [],
    next: '',
    unchanged: true,
  });
  assert.deepEqual(await ask({ op: 'domains', prefix: '', after: '' }), {
    domains: [{ domain: 'd', nodes: 1, owner: '', deletable: false }],
  });
  assert.equal(service.inFlight, 0);
});

test('what is no request, and what the park refuses, is answered with a typed error, and the link stays', async () => {
  for (const text of ['', '{', '[]', '{"op":"dance"}', '{"op":"get","domain":5,"node":"n","seen":0}'])
    assert.equal(await ask(text), 'PARK_REQUEST_INVALID', text);
  assert.equal(await ask(write({ value: '{broken' })), 'PARK_REQUEST_INVALID');
  assert.equal(await ask(write({ domain: 'a b' })), 'PARK_REQUEST_INVALID');
  assert.equal(await ask({ op: 'get', domain: 'a b', node: 'n', seen: 0 }), 'PARK_REQUEST_INVALID');
  assert.equal(await ask({ op: 'list', domain: '', after: '', seen: 0 }), 'PARK_REQUEST_INVALID');
  assert.equal(await ask(write({ op: 'update' })), 'PARK_NODE_UNKNOWN');
  assert.equal(await ask(write({ domain: 'trunkline.x' })), 'PARK_RIGHTS_MISSING');
  assert.equal(await ask({ op: 'watch', watch: 1, domain: '-', node: '', after: 0 }), 'PARK_REQUEST_INVALID');
  assert.deepEqual([pair.dialer.open, service.inFlight], [true, 0]);
});

test("a link's writes are those of the session it opened, and of one it names, and after its end of nobody", async () => {
  const opened = (await ask({ op: 'open-session', name: 'ann', ttlMs: 1_000 })) as { id: string; ttlMs: number };
  assert.equal(opened.ttlMs, 1_000);
  await ask(write({ op: 'create', access: 'read' }));
  assert.deepEqual(store.sessions.get(opened.id)?.name, 'ann');
  pair.breakWire();
  assert.equal(store.sessions.size, 1, 'a lost link ends no session');
  pair = linked('app');
  assert.equal(await ask(write({ value: '2' })), 'PARK_RIGHTS_MISSING');
  const [renewal, behind] = [
    send(JSON.stringify({ op: 'renew-session', id: opened.id })),
    send(JSON.stringify(write({ value: '3' }))),
  ];
  await settle();
  assert.deepEqual(renewal.answer, { ttlMs: 1_000 });
  assert.deepEqual(behind.answer, { revision: 2, nodes: ['n'], versions: [2] });
  assert.deepEqual(await ask({ op: 'end-session', id: opened.id }), {});
  assert.equal(await ask(write({ value: '4' })), 'PARK_RIGHTS_MISSING');
  assert.equal(await ask({ op: 'renew-session', id: opened.id }), 'PARK_SESSION_UNKNOWN');
  assert.equal(await ask(write({ node: 'other' })), 'PARK_SESSION_UNKNOWN');
});

test('rights are overridden for tools only', async () => {
  await ask(write({ op: 'create', access: 'read' }));
  assert.equal(await ask(write({ value: '2' }, { force: true })), 'PARK_RIGHTS_MISSING');
  const tool = linked('tool');
  assert.equal(await ask(write({ value: '2' }), tool), 'PARK_RIGHTS_MISSING');
  assert.deepEqual(await ask(write({ value: '2' }, { force: true }), tool), {
    revision: 2,
    nodes: ['n'],
    versions: [2],
  });
});

test('more requests at once than LINK_REQUESTS_MAX are refused, and then there is room again', async () => {
  const letGo = store.hold();
  const held = Array.from({ length: LINK_REQUESTS_MAX }, () => send(JSON.stringify(write({}))));
  await settle();
  assert.equal(service.inFlight, LINK_REQUESTS_MAX);
  assert.equal(await ask(write({})), 'QUEUE_FULL');
  letGo();
  await settle();
  assert.ok(held.every(({ answer }) => (answer as { versions?: unknown }).versions !== undefined));
  assert.equal(service.inFlight, 0);
  assert.notEqual(await ask(write({})), 'QUEUE_FULL');
});

test('an answer that comes when its link is gone is dropped, and counts no more', async () => {
  const letGo = store.hold();
  send(JSON.stringify(write({})));
  await settle();
  pair.breakWire();
  letGo();
  await settle();
  assert.equal(service.inFlight, 0);
});

test('a watch tells what is there and what changes, until it ends', async () => {
  await ask(write({}));
  assert.deepEqual(await ask({ op: 'watch', watch: 7, domain: 'd', node: '', after: 0 }), {});
  await ask(write({ value: '2' }));
  await ask(write({ op: 'delete' }));
  const told = batches().flatMap(({ watch, events }) => events.map(({ kind, revision }) => [watch, kind, revision]));
  assert.deepEqual(told, [
    [7, 'content', 1],
    [7, 'put', 2],
    [7, 'removed', 3],
  ]);
  assert.equal(batches().at(-1)?.upTo, 3);
  assert.deepEqual(await ask({ op: 'unwatch', watch: 7 }), {});
  assert.equal(store.watchers.size, 0);
  await ask(write({}));
  assert.equal(batches().at(-1)?.upTo, 3);
});

test('a watch goes on after a revision', async () => {
  for (const value of ['1', '2', '3']) await ask(write({ value }));
  await ask({ op: 'watch', watch: 1, domain: 'd', node: 'n', after: 1 });
  assert.deepEqual(
    batches().flatMap(({ events }) => events.map(({ kind, revision }) => [kind, revision])),
    [
      ['put', 2],
      ['put', 3],
    ],
  );
});

test('a watch that the store ends is told as ended, and may begin anew under its number', async () => {
  await ask({ op: 'watch', watch: 1, domain: 'd', node: '', after: 0 });
  assert.equal(await ask({ op: 'watch', watch: 1, domain: 'd', node: '', after: 0 }), 'PARK_REQUEST_INVALID');
  store.endWatches(new PlatformError('PARK_WATCH_BEHIND', 'too slow'));
  await settle();
  assert.deepEqual(notices.at(-1), { topic: PARK_TOPIC.ended, value: { watch: 1, code: 109, detail: 'too slow' } });
  assert.deepEqual(await ask({ op: 'watch', watch: 1, domain: 'd', node: '', after: 0 }), {});
});

test('events wait for a client that does not take them up, and go on when it does', async () => {
  await ask({ op: 'watch', watch: 1, domain: 'd', node: '', after: 0 });
  const long = JSON.stringify('x'.repeat(300_000));
  for (let times = 0; times < 40; times++) await ask(write({ value: `[${times},${long}]` }));
  const before = notices.length;
  assert.ok(before < 20, `${before} notices unheard`);
  for (let times = 0; times < 40 && notices.length < 41; times++) {
    pair.dialer.notify(PARK_TOPIC.heard, { count: 1 });
    await settle();
  }
  const revisions = batches().flatMap(({ events }) => events.map(({ revision }) => revision));
  assert.deepEqual(
    revisions,
    Array.from({ length: 41 }, (_, at) => at),
  );
  assert.deepEqual(faults, []);
});

test('hearing more than was sent is a fault', async () => {
  pair.dialer.notify(PARK_TOPIC.heard, { count: 1 });
  pair.dialer.notify(PARK_TOPIC.heard, { count: -1 });
  await settle();
  assert.deepEqual(faults, ['LINK_FRAME_INVALID', 'LINK_FRAME_INVALID']);
});

test('more watches than LINK_WATCHES_MAX are refused; with the link they all go', async () => {
  for (let watch = 1; watch <= LINK_WATCHES_MAX; watch++) {
    send(JSON.stringify({ op: 'watch', watch, domain: 'd', node: '', after: 0 }));
    if (watch % 1_000 === 0) await settle();
  }
  assert.equal(await ask({ op: 'watch', watch: 50_000, domain: 'd', node: '', after: 0 }), 'PARK_LIMIT');
  assert.equal(store.watchers.size, LINK_WATCHES_MAX);
  pair.breakWire();
  assert.equal(store.watchers.size, 0);
});
