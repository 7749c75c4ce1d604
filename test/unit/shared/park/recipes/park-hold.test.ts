/** When a holder stops believing: by its own clock, before any timer; and once. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { silentLogger } from '../../../../../shared/log.ts';
import { HeldSession } from '../../../../../shared/park/held-session.ts';
import type { Park, ParkChange, ParkSession } from '../../../../../shared/park/park.ts';
import { ParkHold } from '../../../../../shared/park/recipes/park-hold.ts';
import { onSessionLost } from '../../../../../shared/park/recipes/session-loss.ts';
import { ManualClock } from '../../../../support/manual-clock.ts';

let clock: ManualClock;
let session: HeldSession;
let listener: (change: ParkChange) => unknown;
let watchesOpen: number;
let deleted: string[];
let ends: number;
let hold: ParkHold;

const park = {
  watch: (_domain: string, heard: (change: ParkChange) => unknown) => {
    listener = heard;
    watchesOpen++;
    return { close: () => void watchesOpen-- };
  },
  delete: async (domain: string, node: string) => void deleted.push(`${domain}/${node}`),
} as unknown as Park;

function newHold(of: ParkSession): ParkHold {
  return new ParkHold({ park, clock, session: of, domain: 'd', node: 'n', token: 7, onEnd: () => ends++ });
}

beforeEach(() => {
  clock = new ManualClock();
  const aliveUntilMs = clock.nowMs() + 1_000;
  session = new HeldSession({ id: 's', name: 'test', ttlMs: 1_000, aliveUntilMs, log: silentLogger });
  [watchesOpen, deleted, ends] = [0, [], 0];
  hold = newHold(session);
});

describe('a hold', () => {
  test('is lost by the clock before anybody says so, as one that was stopped finds', async () => {
    clock.advance(999);
    assert.equal(hold.isHeld, true);
    clock.advance(1);
    assert.equal(hold.signal.aborted, false); // no timer of it, and nobody has told it
    assert.equal(hold.isHeld, false);
    assert.equal(hold.signal.aborted, true);
    assert.match((await hold.lost).detail, /token 7.*take it anew/);
    session.lose();
    assert.deepEqual([ends, watchesOpen], [1, 0]);
    await hold.release();
    assert.deepEqual(deleted, []);
  });

  test('is lost with the session, and by the removal of its node, at once', () => {
    session.lose();
    assert.equal(hold.signal.aborted, true);
    const other = new HeldSession({ id: 't', name: 't', ttlMs: 1, aliveUntilMs: 9_999, log: silentLogger });
    hold = newHold(other);
    listener({ kind: 'content', revision: 8, entries: [] });
    assert.deepEqual([hold.isHeld, hold.signal.aborted], [false, true]);
    hold = newHold(other);
    listener({ kind: 'removed', revision: 9, domain: 'd', node: 'n' });
    assert.equal(hold.isHeld, false);
    assert.equal(watchesOpen, 0);
  });

  test('of a session that is lost already is lost from the beginning', () => {
    session.lose();
    assert.equal(newHold(session).isHeld, false);
    assert.equal(watchesOpen, 0);
  });

  test('that is given back is no loss, is deleted once, and is not remembered', async () => {
    await Promise.all([hold.release(), hold.release()]);
    await hold.release();
    session.lose();
    assert.deepEqual([deleted, hold.isHeld, hold.signal.aborted, ends, watchesOpen], [['d/n'], false, false, 1, 0]);
  });

  test('a session remembers one listener, however many held by it', () => {
    let listeners = 0;
    const counted = { name: 'x', aliveUntilMs: 9_999, onLost: () => void listeners++ };
    for (let times = 0; times < 100; times++) onSessionLost(counted, () => {})();
    assert.equal(listeners, 1);
  });
});
