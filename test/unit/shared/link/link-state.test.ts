import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handlesStreams, type LinkEvent, type LinkState, nextLinkState } from '../../../../shared/link/link-state.ts';

type StateName = LinkState['kind'];

const STATES: { readonly [Name in StateName]: Extract<LinkState, { kind: Name }> } = {
  greeting: { kind: 'greeting', giveUpAtMs: 3_000 },
  open: { kind: 'open', lastHeardAtMs: 1_000 },
  draining: { kind: 'draining', lastHeardAtMs: 1_000 },
  closed: { kind: 'closed', code: 'LINK_CLOSED', detail: 'first reason' },
};

const SILENT = {
  kind: 'closed',
  code: 'LINK_PEER_SILENT',
  detail: 'the peer has said nothing for 501 ms (limit 500 ms)',
};
const FAULT = { kind: 'closed', code: 'LINK_FRAME_INVALID', detail: 'a fault' };
const GONE = { kind: 'closed', code: 'LINK_CLOSED', detail: 'gone' };
const HELLO_TIMEOUT = {
  kind: 'closed',
  code: 'LINK_HELLO_TIMEOUT',
  detail: 'the peer did not finish greeting in time',
};
const { greeting, open, draining, closed } = STATES;

interface Row {
  readonly event: LinkEvent;
  /** What each state becomes; the compiler refuses a missing cell. */
  readonly becomes: { readonly [Name in StateName]: unknown };
}

/** Every event, those with an instant at and past their limit. */
const TABLE: Record<LinkEvent['kind'] | 'tick late' | 'tick at limit', Row> = {
  greeted: {
    event: { kind: 'greeted', nowMs: 1_200 },
    becomes: { greeting: { kind: 'open', lastHeardAtMs: 1_200 }, open, draining, closed },
  },
  heard: {
    event: { kind: 'heard', nowMs: 1_200 },
    becomes: {
      greeting,
      open: { kind: 'open', lastHeardAtMs: 1_200 },
      draining: { kind: 'draining', lastHeardAtMs: 1_200 },
      closed,
    },
  },
  'peer-drains': {
    event: { kind: 'peer-drains' },
    becomes: { greeting, open: { kind: 'draining', lastHeardAtMs: 1_000 }, draining, closed },
  },
  tick: {
    event: { kind: 'tick', nowMs: 1_200, pongDeadMs: 500 },
    becomes: { greeting, open, draining, closed },
  },
  'tick at limit': {
    event: { kind: 'tick', nowMs: 1_500, pongDeadMs: 500 },
    becomes: { greeting, open, draining, closed },
  },
  'tick late': {
    event: { kind: 'tick', nowMs: 1_501, pongDeadMs: 500 },
    becomes: { greeting, open: SILENT, draining: SILENT, closed },
  },
  fault: {
    event: { kind: 'fault', code: 'LINK_FRAME_INVALID', detail: 'a fault' },
    becomes: { greeting: FAULT, open: FAULT, draining: FAULT, closed },
  },
  'transport-closed': {
    event: { kind: 'transport-closed', code: 'LINK_CLOSED', detail: 'gone' },
    becomes: { greeting: GONE, open: GONE, draining: GONE, closed },
  },
};

for (const [name, { event, becomes }] of Object.entries(TABLE)) {
  test(`${name} leads every state where the table says`, () => {
    for (const [kind, expected] of Object.entries(becomes)) {
      assert.deepEqual(nextLinkState(STATES[kind as StateName], event), expected, `${kind} + ${name}`);
    }
  });
}

test('a peer that does not finish greeting is given up on at the instant, not before', () => {
  assert.deepEqual(nextLinkState(greeting, { kind: 'tick', nowMs: 2_999, pongDeadMs: 500 }), greeting);
  assert.deepEqual(nextLinkState(greeting, { kind: 'tick', nowMs: 3_000, pongDeadMs: 500 }), HELLO_TIMEOUT);
});

test('only open and draining links handle streams', () => {
  const handled: { readonly [Name in StateName]: boolean } = {
    greeting: false,
    open: true,
    draining: true,
    closed: false,
  };
  for (const [kind, expected] of Object.entries(handled)) {
    assert.equal(handlesStreams(STATES[kind as StateName]), expected, kind);
  }
});
