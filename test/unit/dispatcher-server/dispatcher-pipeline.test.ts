import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOLD_BYTES_MAX, OUTAGE_HELD_MAX } from '../../../shared/constants.ts';
import { accountKeyOf, bucketMapEpochOf, bucketOf, remainingMsOf, targetOf } from '../../../shared/envelope.ts';
import { FRAME_TYPE } from '../../../shared/link/frame.ts';
import { bucketOfKey } from '../../../shared/routing/jdk-hash.ts';
import { timeForNextHop } from '../../../shared/time-for-next-hop.ts';
import type { Answering } from '../../support/answering.ts';
import { DispatcherBench as Bench, KEY_G2, Waiting } from '../../support/dispatcher-bench.ts';
import { smallBucketMap } from '../../support/small-cluster.ts';

test('a request goes to its account’s group with what the dispatcher found, and its reply comes back', () => {
  const bench = new Bench().map(7);
  const owner = bench.ask({ pathAccountKey: KEY_G2, target: '/echo?x=1', remainingMs: 500 });
  const { message, start } = bench.c.server.taken[0] ?? assert.fail('expected g2 to have the request');
  assert.deepEqual(
    [
      accountKeyOf(message, start),
      bucketOf(message, start),
      bucketMapEpochOf(message, start),
      targetOf(message, start),
      remainingMsOf(message, start),
    ],
    [KEY_G2, bucketOfKey(KEY_G2, 'jdk-string', 100), 7, '/echo?x=1', timeForNextHop(500)],
  );
  bench.c.server.reply(0, 'hello');
  bench.settle();
  assert.deepEqual([owner.heard, bench.pools[1].evidence], [['reply hello'], ['c ok']]);
  bench.assertAtRest();
});

test('a key from a header or a query is put where the path’s would be', () => {
  const bench = new Bench().map();
  bench.ask({ pathAccountKey: '', headerBlock: `x-account-key:${KEY_G2}\n` });
  const { message, start } = bench.c.server.taken[0] ?? assert.fail();
  assert.equal(accountKeyOf(message, start), KEY_G2);
});

test('a request without a key, or with a bad one, is refused by name', () => {
  const bench = new Bench().map();
  assert.deepEqual(bench.ask({ pathAccountKey: '' }).heard, ['ACCOUNT_KEY_MISSING']);
  assert.deepEqual(bench.ask({ pathAccountKey: '\x01' }).heard, ['ACCOUNT_KEY_INVALID']);
  bench.assertAtRest();
});

test('without a map nothing can be routed, and that is said at once', () => {
  assert.deepEqual(new Bench().ask().heard, ['NOT_READY']);
});

test('C2: a request whose app server is lost goes to another one of the group, and is answered once', () => {
  const bench = new Bench().map();
  const owner = bench.ask();
  const { has, other } = bench.holder;
  has.lose();
  bench.settle();
  assert.equal(other.server.taken.length, 1);
  const { message, start } = other.server.taken[0] ?? assert.fail();
  assert.equal(message[start + 38], 1, 'attempt');
  other.server.reply(0, 'from the other');
  bench.settle();
  assert.deepEqual(owner.heard, ['reply from the other']);
  assert.equal(bench.pools[0].evidence.join(), `${has.peer.id} failed,${other.peer.id} ok`);
  bench.assertAtRest();
});

test('C2: attempts are bounded, and then the loss is told', () => {
  const bench = new Bench((config) => Object.assign(config.retries, { attemptsMax: 2 })).map();
  const owner = bench.ask();
  bench.holder.has.lose();
  bench.settle();
  for (const app of [bench.a, bench.b]) if (app.peer.working) app.lose();
  bench.settle();
  assert.deepEqual(owner.heard, ['LINK_LOST']);
  bench.assertAtRest();
});

test('C2: without a budget nothing is sent again', () => {
  const bench = new Bench((config) => Object.assign(config.retries, { budgetRatio: 0 })).map();
  const owner = bench.ask();
  bench.holder.has.lose();
  bench.settle();
  assert.deepEqual(owner.heard, ['LINK_LOST']);
  assert.deepEqual(
    bench.taken.reduce((sum, count) => sum + count),
    1,
  );
});

test('a group that has been without app servers for long is said at once, also to what is sent again', () => {
  const bench = new Bench().map();
  const owner = bench.ask();
  bench.a.peer.working = bench.b.peer.working = false;
  bench.holder.has.lose();
  bench.settle();
  assert.deepEqual(owner.heard, ['NO_APP_SERVER']);
  assert.deepEqual(bench.ask().heard, ['NO_APP_SERVER']);
  bench.assertAtRest();
});

test('while the outage of a group is young its requests wait, some hundreds of them; with an app server back they go on', () => {
  const bench = new Bench().map();
  const lost = bench.ask();
  const { has } = bench.holder;
  bench.pools[0].awaitsPeer = true;
  bench.a.peer.working = bench.b.peer.working = false;
  has.lose();
  bench.settle();
  const waiting = Array.from({ length: OUTAGE_HELD_MAX }, () => bench.ask());
  assert.deepEqual(
    [lost, ...waiting].map(({ heard }) => heard.length),
    Array(OUTAGE_HELD_MAX + 1).fill(0),
  );
  assert.deepEqual(bench.ask().heard, ['NO_APP_SERVER'], 'one too many');
  bench.ask({ pathAccountKey: KEY_G2 });
  assert.equal(bench.c.server.taken.length, 1, 'another group is not concerned');
  const other = has === bench.a ? bench.b : bench.a;
  other.peer.working = true;
  bench.lanes[0]?.scanner.wake();
  bench.settle();
  assert.equal(other.server.taken.length, OUTAGE_HELD_MAX + 1);
});

test('when the outage of a group goes on, what waits is told so', () => {
  const bench = new Bench().map();
  bench.pools[0].awaitsPeer = true;
  bench.a.peer.working = bench.b.peer.working = false;
  const owners = [bench.ask(), bench.ask()];
  assert.deepEqual(
    owners.map(({ heard }) => heard),
    [[], []],
  );
  bench.pools[0].awaitsPeer = false;
  bench.lanes[0]?.scanner.wake();
  bench.settle();
  assert.deepEqual(
    owners.map(({ heard }) => heard),
    [['NO_APP_SERVER'], ['NO_APP_SERVER']],
  );
  bench.assertAtRest();
});

test('a refusal that another app server may not have is asked there', () => {
  for (const code of ['DRAINING', 'QUEUE_FULL', 'NOT_READY', 'STORE_UNAVAILABLE'] as const) {
    const bench = new Bench().map();
    const owner = bench.ask();
    const { has, other } = bench.holder;
    has.server.fail(0, code);
    bench.settle();
    other.server.reply(0, 'yes');
    bench.settle();
    assert.deepEqual(owner.heard, ['reply yes'], code);
  }
});

test('an error of the request itself is passed on as it is, and speaks for nobody else', () => {
  const bench = new Bench().map();
  const owner = bench.ask();
  bench.holder.has.server.fail(0, 'BODY_INVALID');
  bench.settle();
  assert.deepEqual([owner.heard, bench.pools[0].evidence], [['BODY_INVALID'], [`${bench.holder.has.peer.id} ok`]]);
});

test('what speaks against an app server is noted: failures of its handlers, replies of 5xx, replies cut short', () => {
  const endings: ((server: Answering) => void)[] = [
    (server) => server.fail(0, 'HANDLER_FAILED'),
    (server) => server.reply(0, 'x', 500),
    (server) => server.replyCutShort(0),
  ];
  for (const end of endings) {
    const bench = new Bench().map();
    const owner = bench.ask();
    end(bench.holder.has.server);
    bench.settle();
    assert.equal(owner.heard.length, 1);
    assert.deepEqual(bench.pools[0].evidence, [`${bench.holder.has.peer.id} failed`]);
    bench.assertAtRest();
  }
});

test('a request for a bucket that moves is held, and goes to the new owner when the map changes', () => {
  const bench = new Bench().map();
  const owner = bench.ask();
  bench.holder.has.server.fail(0, 'WRONG_GROUP');
  bench.settle();
  assert.deepEqual([bench.pipeline.heldCount, owner.heard], [1, []]);
  const owners = smallBucketMap(2).owners.map(() => 1);
  bench.pipeline.applyState(bench.config, { ...smallBucketMap(2), owners }, bench.lanes);
  bench.settle();
  const { message, start } = bench.c.server.taken[0] ?? assert.fail('expected the new owner to be asked');
  assert.equal(bucketMapEpochOf(message, start), 2);
  bench.c.server.reply(0, 'moved');
  bench.settle();
  assert.deepEqual(owner.heard, ['reply moved']);
  bench.assertAtRest();
});

test('what is held is tried again without a new map too, for as long as its time lasts', () => {
  const bench = new Bench().map();
  const owner = bench.ask({ remainingMs: 300 });
  for (let step = 0; step < 70; step++) {
    for (const app of [bench.a, bench.b]) {
      for (const taken of app.server.taken.splice(0)) {
        app.server.taken.push(taken);
        app.server.fail(-1, 'VIEW_CHANGING');
        app.server.taken.pop();
      }
    }
    bench.pass(5);
  }
  assert.deepEqual(owner.heard, ['DEADLINE_EXCEEDED']);
  bench.assertAtRest();
});

test('a hold gate holds so many bytes and no more, and gives them free again', () => {
  const queue = {
    weight: 1,
    capacity: 100,
    capacityBytes: 2 * HOLD_BYTES_MAX,
    waitMsMax: 1_000,
    concurrency: 100,
  };
  const bench = new Bench((config) => Object.assign(config.queues, { interactive: queue })).map();
  const body = new Uint8Array(4 * 1024 * 1024);
  const fits = Math.floor(HOLD_BYTES_MAX / (body.length + 100));
  const hold = (): Waiting => {
    const owner = bench.ask({ body });
    const app = [bench.a, bench.b].find(({ server }) => server.taken.length > 0) ?? assert.fail();
    app.server.fail(0, 'BUCKET_MOVING');
    app.server.taken.length = 0;
    bench.settle();
    return owner;
  };
  const held = Array.from({ length: fits }, hold);
  assert.equal(bench.pipeline.heldCount, fits);
  assert.deepEqual(hold().heard, ['BUCKET_MOVING']);
  bench.front.dialer.cancelStream((held[0] as Waiting).streamId);
  bench.settle();
  assert.deepEqual(hold().heard, []);
});

test('C1: at its deadline a request is answered and its app server told to stop; an answer that comes late is dropped', () => {
  const bench = new Bench().map();
  const owner = bench.ask({ remainingMs: 100 });
  const { server } = bench.holder.has;
  bench.pass(130);
  assert.deepEqual([owner.heard, server.cancelled], [['DEADLINE_EXCEEDED'], [server.taken[0]?.streamId]]);
  server.reply(0, 'late');
  bench.settle();
  assert.deepEqual(owner.heard, ['DEADLINE_EXCEEDED']);
  assert.deepEqual(bench.pools[0].evidence, [], 'so short a time says nothing about the app server');
  bench.assertAtRest();
});

test('an app server that lets its requests run out of time is to blame, whoever notices first', () => {
  const endings: ((bench: Bench, owner: Waiting) => void)[] = [
    (bench) => bench.pass(1_530),
    (bench, owner) => {
      bench.pass(1_490); // the interface server is a little ahead
      bench.front.dialer.cancelStream(owner.streamId);
    },
    (bench) => {
      bench.pass(1_490);
      bench.holder.has.server.fail(0, 'DEADLINE_EXCEEDED');
    },
  ];
  for (const end of endings) {
    const bench = new Bench().map();
    end(bench, bench.ask({ remainingMs: 1_500 }));
    bench.settle();
    assert.deepEqual(bench.pools[0].evidence, [`${bench.holder.has.peer.id} failed`]);
    bench.assertAtRest();
  }
});

test('a client that goes away says nothing about the app server, and the cancel goes down the chain', () => {
  const bench = new Bench().map();
  const owner = bench.ask();
  bench.pass(2_000);
  bench.front.dialer.cancelStream(owner.streamId);
  bench.settle();
  const { server } = bench.holder.has;
  assert.deepEqual([server.cancelled, owner.heard, bench.pools[0].evidence], [[server.taken[0]?.streamId], [], []]);
  bench.assertAtRest();
});

test('an interface server that is gone takes its requests with it', () => {
  const bench = new Bench().map();
  bench.ask();
  const held = bench.ask({ pathAccountKey: KEY_G2 });
  bench.c.server.fail(0, 'WRONG_GROUP');
  bench.settle();
  bench.front.breakWire();
  bench.settle();
  assert.equal(bench.holder.has.server.cancelled.length, 1);
  assert.deepEqual(held.heard, ['lost']);
  bench.assertAtRest();
});

test('a full queue is said at once, and what waits in it is served when there is room again', () => {
  const queue = { weight: 1, capacity: 1, capacityBytes: 100_000, waitMsMax: 1_000, concurrency: 1 };
  const bench = new Bench((config) => {
    config.queues = { interactive: queue };
    config.groups = config.groups.slice(0, 1); // so that no group's share is full before the queue is
  }).map();
  const [first, second, third] = [bench.ask(), bench.ask(), bench.ask()];
  assert.deepEqual([first.heard, second.heard, third.heard], [[], [], ['QUEUE_FULL']]);
  bench.holder.has.server.reply(0, 'one');
  bench.settle();
  const served = [bench.a, bench.b].find(
    ({ server }) => server.taken.length > (server === bench.holder.has.server ? 1 : 0),
  );
  served?.server.reply(-1, 'two');
  bench.settle();
  assert.deepEqual([first.heard, second.heard], [['reply one'], ['reply two']]);
  bench.assertAtRest();
});

test('C4: a group that is flooded takes up its share of an interface server, and no more', () => {
  const queue = { weight: 1, capacity: 10, capacityBytes: 100_000, waitMsMax: 1_000, concurrency: 4 };
  const bench = new Bench((config) => Object.assign(config, { queues: { interactive: queue } })).map();
  const flood = Array.from({ length: 5 }, () => bench.ask());
  assert.deepEqual(
    flood.map(({ heard }) => heard.join()),
    ['', '', '', 'QUEUE_FULL', 'QUEUE_FULL'],
  );
  const other = bench.ask({ pathAccountKey: KEY_G2 });
  bench.c.server.reply(0, 'beside it');
  bench.settle();
  assert.deepEqual(other.heard, ['reply beside it']);
  bench.front.dialer.cancelStream(flood[0]?.streamId ?? 0);
  bench.settle();
  assert.deepEqual(bench.ask().heard, [], 'a seat that was given back is taken again');
  bench.front.breakWire();
  bench.settle();
  bench.assertAtRest();
});

test('a group that is stuck does not hold up another', () => {
  const queue = { weight: 1, capacity: 10, capacityBytes: 100_000, waitMsMax: 1_000, concurrency: 1 };
  const bench = new Bench((config) => Object.assign(config, { queues: { interactive: queue } })).map();
  for (let count = 0; count < 5; count++) bench.ask();
  bench.ask({ pathAccountKey: KEY_G2 });
  assert.deepEqual([bench.taken[0]! + bench.taken[1]!, bench.taken[2]], [1, 1]);
});

test('C3: bytes are given back to the sender once, whatever becomes of the request', () => {
  const bench = new Bench().map();
  const body = new Uint8Array(1024 * 1024);
  for (let count = 0; count < 40; count++) {
    const owner = bench.ask({ body, ...(count % 3 === 0 ? { pathAccountKey: '' } : {}) });
    if (count % 3 === 1) bench.front.dialer.cancelStream(owner.streamId);
    for (const app of [bench.a, bench.b]) {
      for (const _ of app.server.taken.splice(0)) bench.settle();
    }
  }
  assert.ok(bench.front.dialer.writable && bench.front.dialer.open);
});

test('a draining dispatcher refuses what is new and answers what it has', () => {
  const bench = new Bench().map();
  const before = bench.ask();
  bench.pipeline.drain();
  assert.deepEqual(bench.ask().heard, ['DRAINING']);
  bench.holder.has.server.reply(0, 'done');
  bench.settle();
  assert.deepEqual(before.heard, ['reply done']);
  bench.assertAtRest();
});

test('a REQUEST whose parts do not fit its frame closes the link it came on', () => {
  const bench = new Bench().map();
  const owner = new Waiting();
  const link = bench.front.dialer;
  link.writer.beginFrame(FRAME_TYPE.REQUEST, 0, 0, link.openStream(owner), 100);
  link.endStreamFrame();
  bench.settle();
  assert.deepEqual([link.open, owner.heard], [false, ['lost']]);
  bench.assertAtRest();
});

test('closing it leaves no timer behind', () => {
  const bench = new Bench();
  const before = bench.clock.pendingTimers;
  bench.pipeline.close();
  assert.equal(bench.clock.pendingTimers, before - 2);
});
