import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { REDIAL_MS_MAX, REDIAL_MS_MIN } from '../../../../shared/constants.ts';
import { type DialEvent, type DialState, nextDialState } from '../../../../shared/link/dial-state.ts';
import '../../../support/property-runs.ts';

type StateName = DialState['kind'];

const STATES: { readonly [Name in StateName]: Extract<DialState, { kind: Name }> } = {
  idle: { kind: 'idle' },
  dialing: { kind: 'dialing', failures: 2 },
  linked: { kind: 'linked', failures: 2, sinceMs: 10_000 },
  waiting: { kind: 'waiting', failures: 2, redialInMs: 100 },
  stopped: { kind: 'stopped' },
};
const { idle, dialing, linked, waiting, stopped } = STATES;

/** What the third loss in a row leads to when chance is 0: half of 50 · 2². */
const WAITS_100 = { kind: 'waiting', failures: 3, redialInMs: 100 };

interface Row {
  readonly event: DialEvent;
  readonly becomes: { readonly [Name in StateName]: unknown };
}

const TABLE: Record<DialEvent['kind'] | 'lost after a steady second', Row> = {
  dial: {
    event: { kind: 'dial' },
    becomes: {
      idle: { kind: 'dialing', failures: 0 },
      dialing,
      linked,
      waiting: { kind: 'dialing', failures: 2 },
      stopped,
    },
  },
  opened: {
    event: { kind: 'opened', nowMs: 10_000 },
    becomes: { idle, dialing: { kind: 'linked', failures: 2, sinceMs: 10_000 }, linked, waiting, stopped },
  },
  lost: {
    event: { kind: 'lost', nowMs: 10_999, chance: 0 },
    becomes: { idle, dialing: WAITS_100, linked: WAITS_100, waiting, stopped },
  },
  'lost after a steady second': {
    event: { kind: 'lost', nowMs: 11_000, chance: 0 },
    becomes: {
      idle,
      dialing: WAITS_100,
      linked: { kind: 'waiting', failures: 1, redialInMs: REDIAL_MS_MIN / 2 },
      waiting,
      stopped,
    },
  },
  stop: {
    event: { kind: 'stop' },
    becomes: { idle: stopped, dialing: stopped, linked: stopped, waiting: stopped, stopped },
  },
};

for (const [name, { event, becomes }] of Object.entries(TABLE)) {
  test(`${name} leads every state where the table says`, () => {
    for (const [kind, expected] of Object.entries(becomes)) {
      assert.deepEqual(nextDialState(STATES[kind as StateName], event), expected, `${kind} + ${name}`);
    }
  });
}

test('the pause never leaves its bounds, and at least half of the full pause is kept', () => {
  fc.assert(
    fc.property(fc.nat(1_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, chance) => {
      const next = nextDialState({ kind: 'dialing', failures }, { kind: 'lost', nowMs: 0, chance });
      assert.equal(next.kind, 'waiting');
      const full = Math.min(REDIAL_MS_MAX, REDIAL_MS_MIN * 2 ** failures);
      const { redialInMs } = next as Extract<DialState, { kind: 'waiting' }>;
      assert.ok(redialInMs >= full / 2 && redialInMs <= full, `${redialInMs} of ${full}`);
    }),
  );
});
