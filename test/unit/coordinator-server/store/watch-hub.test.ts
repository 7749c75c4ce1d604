import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Telling, WatchHub } from '../../../../coordinator-server/store/watch-hub.ts';
import type { ParkEvent } from '../../../../shared/park/park-model.ts';

function telling(revision: number, node = 'x', domain = 'd'): Telling {
  return { revision, domain, node, event: () => ({ kind: 'removed', revision, domain, node }) };
}

function listen(
  hub: WatchHub,
  node = '',
  toldRevision = 0,
  onEvents: (events: readonly ParkEvent[]) => void = () => {},
) {
  const heard: (number | string)[] = [];
  const handle = hub.add(
    { domain: 'd', node, afterRevision: 0 },
    {
      onEvents: (events, upTo) => {
        heard.push(...events.map(({ revision }) => revision), `≤${upTo}`);
        onEvents(events);
      },
      onEnd: ({ message }) => heard.push(message),
    },
    toldRevision,
  );
  return { heard, handle };
}

test('a watch hears what comes after its own position, of its node, and how far that goes', () => {
  const hub = new WatchHub();
  const all = listen(hub, '', 2);
  const one = listen(hub, 'y');
  hub.tell([telling(2), telling(3), telling(4, 'y'), telling(4, 'y', 'e')], 4);
  assert.deepEqual(all.heard, [3, 4, '≤4']);
  assert.deepEqual(one.heard, [4, '≤4']);
  hub.tell([telling(4, 'y')], 4);
  assert.deepEqual(one.heard, [4, '≤4']);
});

test('quiet watches are told how far all has been told, once', () => {
  const hub = new WatchHub();
  const { heard } = listen(hub);
  hub.progress(9);
  hub.progress(9);
  assert.deepEqual(heard, ['≤9']);
});

test('a watch that was closed hears nothing more, also in the middle of a telling', () => {
  const hub = new WatchHub();
  const second: { heard: unknown[]; handle?: { close(): void } } = { heard: [] };
  listen(hub, '', 0, () => second.handle?.close());
  Object.assign(second, listen(hub));
  hub.tell([telling(1)], 1);
  hub.tell([telling(2)], 2);
  assert.deepEqual(second.heard, []);
  assert.equal(hub.size, 1);
});

test('when all end each is told why, and may begin again', () => {
  const hub = new WatchHub();
  const { heard } = listen(hub);
  hub.endAll(new Error('enough'));
  assert.deepEqual(heard, ['enough']);
  assert.equal(hub.size, 0);
  assert.deepEqual(hub.watches('d'), false);
});
