import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  FORGET_AFTER_MS,
  type MemberIdentity,
  type MembershipEffect,
  MembershipState,
  REPLACED_MAX,
} from '../../../coordinator-server/membership-state.ts';

const TTL_MS = 1_000;

function server(incarnation: string, serverId = 'g1a'): MemberIdentity {
  return { tier: 'app', serverId, incarnation, listen: '127.0.0.1:1', admin: '127.0.0.1:2', version: '0.1.0' };
}

function kinds(effects: readonly { kind: string }[]): string[] {
  return effects.map((effect) => effect.kind);
}

test('a join is announced and leased', () => {
  const state = new MembershipState();
  assert.deepEqual(kinds(state.join(server('one'), 0, TTL_MS)), ['joined', 'leased']);
  assert.deepEqual(state.get('g1a')?.lease, { kind: 'alive', renewedAtMs: 0, untilMs: 1_000 });
});

test('joining again on a new link is a renewal, not another join', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  assert.deepEqual(kinds(state.join(server('one'), 500, TTL_MS)), ['leased']);
  assert.equal(state.get('g1a')?.joinedAtMs, 0);
});

test('a lease lives until exactly its end when it is not renewed', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  assert.deepEqual(state.expire(999), []);
  assert.deepEqual(kinds(state.expire(1_000)), ['expired']);
  assert.deepEqual(state.expire(1_001), []);
});

test('a renewal prolongs the lease from when it came and keeps the load report', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  assert.deepEqual(kinds(state.renew('g1a', 'one', { inFlight: 3 }, 900, TTL_MS)), ['leased']);
  assert.deepEqual(state.expire(1_899), []);
  assert.deepEqual(state.get('g1a')?.load, { inFlight: 3 });
});

test('a renewal under a shorter lease does not cut short what was promised', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, 10_000);
  state.renew('g1a', 'one', null, 100, TTL_MS);
  assert.deepEqual(state.expire(9_999), []);
});

test('an expired lease cannot be renewed, only joined anew', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  state.expire(1_000);
  assert.deepEqual(kinds(state.renew('g1a', 'one', null, 1_001, TTL_MS)), ['unknown']);
  assert.deepEqual(kinds(state.join(server('one'), 1_002, TTL_MS)), ['joined', 'leased']);
});

test('a restarted server replaces its former incarnation, whose links are to be closed', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  const effects = state.join(server('two'), 10, TTL_MS);
  assert.deepEqual(effects[0], { kind: 'replaced', serverId: 'g1a', incarnation: 'one' });
  assert.deepEqual(kinds(effects), ['replaced', 'joined', 'leased']);
});

test('a replaced incarnation can neither renew nor come back while the newer one lives', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  state.join(server('two'), 10, TTL_MS);
  assert.deepEqual(kinds(state.renew('g1a', 'one', null, 20, TTL_MS)), ['unknown']);
  assert.deepEqual(kinds(state.join(server('one'), 30, TTL_MS)), ['refused']);
  assert.equal(state.get('g1a')?.identity.incarnation, 'two');
});

test('a replaced incarnation may come back once the newer one is gone', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  state.join(server('two'), 10, TTL_MS);
  state.expire(1_010);
  assert.deepEqual(kinds(state.join(server('one'), 1_020, TTL_MS)), ['joined', 'leased']);
});

test('a server that left is gone at once, and a late leave of its former incarnation changes nothing', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  assert.deepEqual(kinds(state.leave('g1a', 'one', 5)), ['left']);
  state.join(server('two'), 10, TTL_MS);
  assert.deepEqual(state.leave('g1a', 'one', 20), []);
  assert.equal(state.get('g1a')?.lease.kind, 'alive');
});

test('who has been gone for long is forgotten', () => {
  const state = new MembershipState();
  state.join(server('one'), 0, TTL_MS);
  state.expire(1_000);
  state.expire(1_000 + FORGET_AFTER_MS - 1);
  assert.equal(state.list().length, 1);
  state.expire(1_000 + FORGET_AFTER_MS);
  assert.equal(state.list().length, 0);
});

test('the incarnations remembered as replaced stay bounded', () => {
  const state = new MembershipState();
  for (let round = 0; round < 100; round++) state.join(server(`i${round}`), round, TTL_MS);
  assert.equal(state.get('g1a')?.replaced.length, REPLACED_MAX);
});

interface Happening {
  readonly kind: 'join' | 'renew' | 'leave' | 'expire';
  readonly incarnation: string;
  readonly afterMs: number;
  readonly travelMs: number;
  readonly ttlMs: number;
}

function perform(state: MembershipState, happening: Happening, nowMs: number): MembershipEffect[] {
  const { kind, incarnation, ttlMs } = happening;
  switch (kind) {
    case 'join':
      return state.join(server(incarnation), nowMs, ttlMs);
    case 'renew':
      return state.renew('g1a', incarnation, null, nowMs, ttlMs);
    case 'leave':
      return state.leave('g1a', incarnation, nowMs);
    case 'expire':
      return state.expire(nowMs);
  }
}

/** What each incarnation believes, counting from when it sent what was answered. */
function believe(believedUntilMs: Map<string, number>, effect: MembershipEffect, untilMs: number, nowMs: number): void {
  if (effect.kind === 'leased') believedUntilMs.set(effect.member.identity.incarnation, untilMs);
  if (effect.kind === 'left') believedUntilMs.delete(effect.member.identity.incarnation);
  if (effect.kind === 'replaced') believedUntilMs.delete(effect.incarnation);
  if (effect.kind !== 'expired') return;
  const believed = believedUntilMs.get(effect.member.identity.incarnation) ?? 0;
  assert.ok(believed <= nowMs, `declared dead at ${nowMs}, believed itself alive until ${believed}`);
}

test('whatever happens, a member that counts from when it sent never outlives its lease here', () => {
  const happening: fc.Arbitrary<Happening> = fc.record({
    kind: fc.constantFrom('join', 'renew', 'leave', 'expire'),
    incarnation: fc.constantFrom('one', 'two'),
    afterMs: fc.nat(700),
    travelMs: fc.nat(300),
    ttlMs: fc.constantFrom(200, 1_000, 5_000),
  });
  const run = (happenings: readonly Happening[]) => {
    const state = new MembershipState();
    const believedUntilMs = new Map<string, number>();
    let nowMs = 0;
    for (const next of happenings) {
      nowMs += next.afterMs + next.travelMs;
      const untilMs = nowMs - next.travelMs + next.ttlMs;
      for (const effect of perform(state, next, nowMs)) believe(believedUntilMs, effect, untilMs, nowMs);
    }
  };
  fc.assert(fc.property(fc.array(happening, { maxLength: 40 }), run));
});
