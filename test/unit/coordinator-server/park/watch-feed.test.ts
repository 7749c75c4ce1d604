import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { PART_CHARS_MAX, PART_NODES_MAX } from '../../../../coordinator-server/park/park-requests.ts';
import {
  FEED_CHARS_MAX,
  FEED_EVENTS_MAX,
  FedWatch,
  PROGRESS_EVERY_MS,
  UNHEARD_CHARS_MAX,
  WatchFeed,
} from '../../../../coordinator-server/park/watch-feed.ts';
import { NOTICE_BYTES_MAX } from '../../../../shared/constants.ts';
import type { ParkEvent, ParkNode } from '../../../../shared/park/park-model.ts';
import type { EventBatch } from '../../../../shared/park/park-protocol.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

const ledger = { chars: 0, contentNodes: 0 };
let feed: WatchFeed;
let watch: FedWatch;

beforeEach(() => {
  Object.assign(ledger, { chars: 0, contentNodes: 0 });
  feed = new WatchFeed(ledger);
  watch = added(1);
});

function added(number: number, after = 0): FedWatch {
  const one = new FedWatch(number, after);
  feed.watches.set(number, one);
  return one;
}

function nodeOf(node: string, revision: number, chars = 1): ParkNode {
  const rest = { version: 1, createRevision: 1, access: 'all', ephemeral: false, owner: '' } as const;
  return { domain: 'd', node, value: '1'.repeat(chars), modRevision: revision, ...rest };
}

function put(revision: number, chars = 1): ParkEvent {
  return { kind: 'put', revision, node: nodeOf(`n${revision}`, revision, chars) };
}

/** Every notice that goes until nothing more may. */
function sent(): EventBatch[][] {
  const notices: EventBatch[][] = [];
  while (feed.sendable) {
    const notice = feed.next();
    if (notice.length > 0) notices.push([...notice]);
  }
  return notices;
}

test('what waits for several watches leaves in one notice', () => {
  const other = added(2);
  feed.push(watch, [put(1)], 1, 0);
  feed.push(other, [put(1)], 1, 0);
  feed.push(watch, [put(2), put(3)], 3, 0);
  assert.deepEqual(sent(), [
    [
      { watch: 1, events: [put(1), put(2), put(3)], upTo: 3 },
      { watch: 2, events: [put(1)], upTo: 1 },
    ],
  ]);
  assert.deepEqual(sent(), []);
});

test('a part says that a revision is complete only when all of it has gone', () => {
  const events = Array.from({ length: PART_NODES_MAX + 500 }, (_, at) => put(at < 10 ? 1 : 2));
  feed.push(watch, events, 2, 0);
  const notices = sent().flat();
  assert.deepEqual(
    notices.map((batch) => [batch.events.length, batch.upTo]),
    [
      [PART_NODES_MAX, 1],
      [500, 2],
    ],
  );
});

test('content goes in parts, of which the last is complete', () => {
  const nodes = Array.from({ length: PART_NODES_MAX * 2 + 1 }, (_, at) => nodeOf(`n${at}`, 5));
  feed.push(watch, [{ kind: 'content', revision: 9, nodes }], 9, 0);
  assert.equal(ledger.contentNodes, nodes.length);
  const batches = sent().flat();
  assert.deepEqual(
    batches.map(({ upTo }) => upTo),
    [8, 8, 9],
  );
  assert.deepEqual(
    batches.flatMap(({ events }) => events.flatMap((event) => (event.kind === 'content' ? event.nodes : []))),
    nodes,
  );
  assert.equal(ledger.contentNodes, 0);
});

test('no notice is larger than a link takes, whatever the values', () => {
  const hard = '"'.repeat(1024 * 1024);
  feed.push(watch, [put(1, 100), { kind: 'put', revision: 2, node: { ...nodeOf('n', 2), value: hard } }], 2, 0);
  const many = Array.from({ length: 3_000 }, (_, at) => ({ ...nodeOf(`n${at}`, 3), value: '\\'.repeat(1_000) }));
  feed.push(watch, [{ kind: 'content', revision: 3, nodes: many }], 3, 0);
  for (let rounds = 0; rounds < 20; rounds++)
    for (const notice of sent()) {
      assert.ok(Buffer.byteLength(JSON.stringify(notice)) < NOTICE_BYTES_MAX);
      assert.ok(feed.heard(1));
    }
  assert.equal(watch.length, 0);
});

test('a client that takes nothing up is sent no more than UNHEARD_CHARS_MAX and a notice', () => {
  for (let revision = 1; revision <= 20; revision++) feed.push(watch, [put(revision, PART_CHARS_MAX / 2)], revision, 0);
  const before = sent().length;
  assert.ok(before > 0 && before <= UNHEARD_CHARS_MAX / (PART_CHARS_MAX / 2) + 1);
  assert.equal(sent().length, 0);
  assert.equal(feed.heard(before + 1), false);
  assert.equal(feed.heard(1), true);
  assert.ok(sent().length > 0);
});

test('too much that waits ends the watch that has the most of it', () => {
  const small = added(2);
  feed.push(small, [put(1)], 1, 0);
  let behind: FedWatch | undefined;
  for (let revision = 1; revision <= FEED_EVENTS_MAX && behind === undefined; revision += 1_000)
    behind = feed.push(
      watch,
      Array.from({ length: 1_000 }, () => put(revision)),
      revision,
      0,
    );
  assert.equal(behind, watch);
  feed.remove(watch);
  assert.equal(feed.push(small, [put(2, FEED_CHARS_MAX)], 2, 0), small);
  feed.remove(small);
  assert.deepEqual([feed.chars, ledger.chars], [0, 0]);
});

test('a quiet watch hears of progress once a while', () => {
  feed.push(watch, [], 5, 1_000);
  feed.push(watch, [], 6, 1_001);
  assert.deepEqual(sent(), [[{ watch: 1, events: [], upTo: 6 }]]);
  feed.push(watch, [], 7, 1_000 + PROGRESS_EVERY_MS - 1);
  assert.deepEqual(sent(), []);
  feed.push(watch, [], 8, 1_000 + PROGRESS_EVERY_MS);
  assert.deepEqual(sent(), [[{ watch: 1, events: [], upTo: 8 }]]);
});

test('what is removed says nothing more', () => {
  let closed = 0;
  watch.handle = { close: () => closed++ };
  feed.push(watch, [put(1)], 1, 0);
  feed.remove(watch);
  assert.equal(feed.push(watch, [put(2)], 2, 0), undefined);
  assert.deepEqual([sent(), closed, feed.watches.size], [[], 1, 0]);
});

test('whatever comes, each watch is told all of it, in order, and the counts come back to nothing', () => {
  const event = fc.record({
    watch: fc.integer({ min: 1, max: 3 }),
    step: fc.nat(1),
    chars: fc.nat(3),
    many: fc.nat(4),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (plan) => {
      Object.assign(ledger, { chars: 0, contentNodes: 0 });
      feed = new WatchFeed(ledger);
      const watches = [1, 2, 3].map((number) => added(number));
      const due = new Map<number, ParkEvent[]>([1, 2, 3].map((number) => [number, []]));
      const told = new Map<number, ParkEvent[]>([1, 2, 3].map((number) => [number, []]));
      let revision = 0;
      const take = (): void => {
        for (const { watch: number, events, upTo } of sent().flat()) {
          told.get(number)?.push(...events);
          const rest = due.get(number)?.slice(told.get(number)?.length) ?? [];
          for (const later of rest)
            assert.ok(later.revision > upTo, `${later.revision} was still to come, not ${upTo}`);
        }
        while (feed.heard(1));
      };
      for (const { watch: number, step, chars, many } of plan) {
        revision += step + 1;
        const events = Array.from({ length: many }, () => put(revision, (chars * PART_CHARS_MAX) / 3 + 1));
        due.get(number)?.push(...events);
        feed.push(watches[number - 1] as FedWatch, events, revision, 0);
        if (chars === 0) take();
      }
      for (let rounds = 0; rounds < 200; rounds++) take();
      assert.deepEqual(told, due);
      assert.deepEqual([feed.chars, ledger], [0, { chars: 0, contentNodes: 0 }]);
    }),
    fewerRuns(20),
  );
});
