import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { PlatformError } from '../../../../shared/errors.ts';
import { ParkClient } from '../../../../shared/park/park-client.ts';
import type { ParkEvent, ParkNode } from '../../../../shared/park/park-model.ts';
import { REWATCH_MS } from '../../../../shared/park/park-watches.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { fewerRuns } from '../../../support/property-runs.ts';
import { ScriptedChannel } from '../../../support/scripted-channel.ts';

let clock: ManualClock;
let channel: ScriptedChannel;
let client: ParkClient;
let told: string[];

beforeEach(() => {
  clock = new ManualClock();
  channel = new ScriptedChannel();
  client = new ParkClient({ channel, name: 'watcher', clock });
  client.start();
  told = [];
});

function nodeOf(node: string, revision: number): ParkNode {
  const revisions = { createRevision: revision, modRevision: revision };
  return { domain: 'd', node, value: '1', version: 1, ...revisions, access: 'all', ephemeral: false, owner: '' };
}

const put = (node: string, revision: number): ParkEvent => ({ kind: 'put', revision, node: nodeOf(node, revision) });
const content = (revision: number, ...nodes: string[]): ParkEvent => ({
  kind: 'content',
  revision,
  nodes: nodes.map((node) => nodeOf(node, revision)),
});

/** Notes what it is told: `put a@5`, `content a,b@7`. */
function listen(subject = client, into = told, afterRevision?: number): ReturnType<ParkClient['watch']> {
  return subject.watch(
    'd',
    (change) => {
      if (change.kind === 'content')
        into.push(`content ${change.entries.map(({ node }) => node).join(',')}@${change.revision}`);
      else into.push(`${change.kind} ${change.kind === 'put' ? change.entry.node : change.node}@${change.revision}`);
    },
    { afterRevision },
  );
}

function say(upTo: number, ...events: ParkEvent[]): void {
  channel.listener.onEvents([{ watch: 1, events, upTo }]);
}

/** Revision of the newest request to watch. */
function askedAfter(): number {
  const request = channel.next('watch').request;
  return request.op === 'watch' ? request.after : -1;
}

test('a watch begins with what is there and goes on with what changes', () => {
  listen();
  channel.goUp();
  assert.deepEqual(channel.next('watch').request, { op: 'watch', watch: 1, domain: 'd', node: '', after: 0 });
  say(3, content(3, 'a', 'b'));
  say(5, put('a', 5));
  assert.deepEqual(told, ['content a,b@3', 'put a@5']);
});

test('after a cut it goes on after the last revision that was told whole', () => {
  listen();
  channel.goUp();
  say(3, content(3, 'a'));
  say(4, put('a', 4), put('b', 5));
  channel.goDown();
  channel.goUp();
  assert.equal(askedAfter(), 4);
  say(5, put('b', 5), put('c', 5));
  assert.deepEqual(told, ['content a@3', 'put a@4', 'put b@5', 'put c@5']);
});

test('content in parts is told as one, and a cut between the parts tells nothing of it', () => {
  listen();
  channel.goUp();
  say(0, content(9, 'a'));
  channel.goDown();
  channel.goUp();
  assert.equal(askedAfter(), 0);
  say(0, content(10, 'a'));
  say(0, content(10, 'b'));
  say(10, content(10, 'c'));
  assert.deepEqual(told, ['content a,b,c@10']);
});

test('an empty park is content too', () => {
  listen();
  channel.goUp();
  say(0, content(0));
  assert.deepEqual(told, ['content @0']);
});

test('a coordinator that is behind makes it neither go back nor repeat', () => {
  listen();
  channel.goUp();
  say(8, content(8, 'a'));
  channel.goDown();
  channel.goUp();
  say(6, content(6, 'old'));
  say(8, put('a', 7), put('a', 8));
  say(9, put('a', 9));
  channel.goDown();
  channel.goUp();
  assert.equal(askedAfter(), 9);
  assert.deepEqual(told, ['content a@8', 'put a@9']);
});

test('a quiet watch keeps up: it goes on after the revision it was told of', () => {
  listen(client, told, 4);
  channel.goUp();
  assert.equal(askedAfter(), 4);
  say(900);
  channel.goDown();
  channel.goUp();
  assert.equal(askedAfter(), 900);
  assert.deepEqual(told, []);
});

test('one that ended as it was behind is asked for again, after a pause', () => {
  listen();
  channel.goUp();
  say(3, content(3, 'a'));
  channel.answer(channel.next('watch'), {});
  channel.listener.onWatchEnded({ watch: 1, reason: new PlatformError('PARK_WATCH_BEHIND', 'too slow') });
  assert.equal(channel.pending('watch').length, 0);
  say(4, put('a', 4));
  clock.advance(REWATCH_MS);
  assert.equal(askedAfter(), 3);
  say(4, put('a', 4));
  assert.deepEqual(told, ['content a@3', 'put a@4']);
});

test('a coordinator that does not serve is left, one that has too much to do is asked again', () => {
  listen();
  channel.goUp();
  channel.fail(channel.next('watch'), new PlatformError('QUEUE_FULL', 'later'));
  assert.deepEqual(channel.refusals, []);
  clock.advance(REWATCH_MS);
  channel.fail(channel.next('watch'), new PlatformError('NOT_LEADER', 'elsewhere'));
  assert.equal(channel.refusals.length, 1);
  channel.goUp();
  assert.equal(channel.pending('watch').length, 1);
});

test('a listener that throws is called again for the next change; one that returns false is not', () => {
  let calls = 0;
  client.watch('d', () => {
    calls++;
    if (calls === 1) throw new Error('listener');
    return calls < 3;
  });
  channel.goUp();
  say(5, put('a', 2), put('a', 3), put('a', 4), put('a', 5));
  assert.equal(calls, 3);
  assert.deepEqual(channel.next('unwatch').request, { op: 'unwatch', watch: 1 });
  channel.goDown();
  channel.goUp();
  assert.equal(channel.pending('watch').length, 0);
});

test('a closed watch hears nothing more', () => {
  const watch = listen();
  channel.goUp();
  watch.close();
  watch.close();
  say(3, content(3, 'a'));
  assert.deepEqual(told, []);
  assert.equal(channel.pending('unwatch').length, 1);
});

describe('over many coordinators, each with its own lag and its own cuts', () => {
  /** What happened to the park: each revision changes one to three nodes. */
  const changes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 40 });
  const steps = fc.array(
    fc.record({ parts: fc.integer({ min: 1, max: 4 }), lag: fc.nat(10), forgets: fc.boolean(), cut: fc.boolean() }),
    { minLength: 1, maxLength: 30 },
  );

  test('every change is told, once, in order, or is in a content told later', () => {
    fc.assert(
      fc.property(changes, steps, (sizes, plan) => {
        const all = sizes.flatMap((size, at) => Array.from({ length: size }, (_, n) => put(`n${n}`, at + 1)));
        const wire = new ScriptedChannel();
        const subject = new ParkClient({ channel: wire, name: 'watcher', clock: new ManualClock() });
        subject.start();
        const heard: string[] = [];
        listen(subject, heard);
        for (const { parts, lag, forgets, cut } of [...plan, { parts: 1, lag: 0, forgets: false, cut: false }]) {
          wire.goUp();
          const revision = Math.max(0, sizes.length - lag);
          const { request } = wire.next('watch');
          assert.ok(request.op === 'watch');
          const due = all.filter((event) => event.revision > request.after && event.revision <= revision);
          const events = forgets || request.after === 0 ? [content(revision, 'all')] : due;
          const sent = Math.max(1, Math.ceil(events.length / parts));
          for (let from = 0; from < events.length && !(cut && from > sent); from += sent) {
            const part = events.slice(from, from + sent);
            const next = events[from + sent]?.revision ?? Number.POSITIVE_INFINITY;
            const last = part.at(-1)?.revision ?? 0;
            wire.listener.onEvents([{ watch: 1, events: part, upTo: next === last ? last - 1 : last }]);
          }
          wire.goDown();
        }
        assert.equal(replayed(heard, all), sizes.length, 'nothing is missing at the end');
      }),
      fewerRuns(4),
    );
  });
});

function wordsOf(event: ParkEvent): string {
  return event.kind === 'put' ? `put ${event.node.node}@${event.revision}` : event.kind;
}

/** Puts in order and without a gap, content setting the place anew and never back. @returns the last revision told */
function replayed(heard: readonly string[], all: readonly ParkEvent[]): number {
  let place = 0;
  let expected: string[] = [];
  for (const words of heard) {
    const revision = Number(words.slice(words.indexOf('@') + 1));
    if (words.startsWith('content')) {
      assert.ok(revision > place || place === 0, `${words} after ${place}`);
      expected = all.filter((event) => event.revision > revision).map(wordsOf);
    } else assert.equal(words, expected.shift());
    place = revision;
  }
  return place;
}
