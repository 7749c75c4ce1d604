import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ejectionReason,
  healthVerdict,
  type PeerFacts,
  type PeerState,
  type Surroundings,
} from '../../../../shared/balance/health-verdict.ts';
import { EVIDENCE_REPLIES_MIN, PeerEvidence } from '../../../../shared/balance/peer-evidence.ts';
import type { HealthConfig } from '../../../../shared/config/cluster-schema.ts';

const POLICY: HealthConfig = {
  pingEveryMs: 250,
  pongSuspectMs: 900,
  pongDeadMs: 5_000,
  consecutiveFailuresMax: 5,
  errorRateMax: 0.4,
  slowRatioMax: 5,
  slowMsMin: 100,
  ejectMs: 10_000,
};

const NOW: Surroundings = { nowMs: 50_000, medianLatencyMs: 0, last: false };

function facts(fields: Partial<PeerFacts> = {}): PeerFacts {
  return {
    linkOpen: true,
    linkReason: '',
    draining: false,
    takenOut: undefined,
    silentMs: 0,
    evidence: new PeerEvidence(),
    ...fields,
  };
}

function ejected(): PeerEvidence {
  const evidence = new PeerEvidence();
  evidence.ejectedUntilMs = 52_500;
  evidence.ejectedBecause = '5 consecutive failures';
  return evidence;
}

/** Facts, and the state they mean among others and when the peer is the last one. */
const TABLE: Record<string, readonly [fields: Partial<PeerFacts>, among: PeerState, last: PeerState, reason: RegExp]> =
  {
    'nothing against it': [{}, 'ready', 'ready', /^working$/],
    'no link yet': [{ linkOpen: false }, 'down', 'down', /not connected yet/],
    'a lost link': [{ linkOpen: false, linkReason: 'LINK_LOST: x' }, 'down', 'down', /LINK_LOST: x/],
    'a lost link of an ejected one': [{ linkOpen: false, evidence: ejected() }, 'down', 'down', /not connected/],
    draining: [{ draining: true }, 'drain', 'drain', /finishes what it has/],
    'in maintenance': [{ takenOut: 'maint' }, 'maint', 'maint', /operator.*trunkline ready/],
    'in maintenance, without a link as it should be': [
      { takenOut: 'maint', linkOpen: false },
      'maint',
      'maint',
      /operator/,
    ],
    'drained by an operator': [{ takenOut: 'drain' }, 'drain', 'drain', /operator.*trunkline ready/],
    'drained by an operator, and stopped': [{ takenOut: 'drain', linkOpen: false }, 'down', 'down', /not connected/],
    'a late PONG': [{ silentMs: 901 }, 'suspect', 'ready', /silent for 901 ms \(limit 900 ms\)/],
    'a PONG just in time': [{ silentMs: 900 }, 'ready', 'ready', /^working$/],
    ejected: [{ evidence: ejected() }, 'ejected', 'ready', /5 consecutive failures; retry in 3 s/],
    'ejected and silent': [{ evidence: ejected(), silentMs: 2_000 }, 'ejected', 'ready', /5 consecutive failures/],
  };
for (const [what, [fields, among, last, reason]] of Object.entries(TABLE)) {
  test(`${what}: ${among}${last === among ? '' : `, and ${last} when it is the last one`}, with its reason`, () => {
    const withOthers = healthVerdict(facts(fields), POLICY, NOW);
    const alone = healthVerdict(facts(fields), POLICY, { ...NOW, last: true });
    assert.deepEqual([withOthers.state, alone.state], [among, last]);
    for (const verdict of [withOthers, alone]) assert.match(verdict.reason, reason);
    if (among !== last) assert.match(alone.reason, /last one/);
  });
}

test('a rest that is over ejects no more', () => {
  assert.equal(healthVerdict(facts({ evidence: ejected() }), POLICY, { ...NOW, nowMs: 52_500 }).state, 'ready');
});

/** Evidence of `replies` replies, every `failEvery`-th failed, of `latencyMs` each. */
function evidenceOf(replies: number, failEvery: number, latencyMs = 1): PeerEvidence {
  const evidence = new PeerEvidence();
  for (let count = 1; count <= replies; count++) evidence.recordReply(count % failEvery === 0, latencyMs);
  return evidence;
}

test('failures in a row eject at the limit and not before, and one success starts the count anew', () => {
  assert.equal(ejectionReason(evidenceOf(4, 1), POLICY, NOW), '');
  assert.equal(ejectionReason(evidenceOf(5, 1), POLICY, NOW), '5 consecutive failures');
  const evidence = evidenceOf(4, 1);
  evidence.recordReply(false, 1);
  evidence.recordReply(true, 1);
  assert.equal(ejectionReason(evidence, POLICY, NOW), '');
});

test('a share of failures ejects, once there are enough replies to speak of a share', () => {
  assert.match(ejectionReason(evidenceOf(400, 2), POLICY, NOW), /^5\d % of its replies failed \(limit 40 %\)$/);
  assert.equal(ejectionReason(evidenceOf(400, 4), POLICY, NOW), '');
  const few = new PeerEvidence();
  few.errorRate = 1;
  few.replies = EVIDENCE_REPLIES_MIN - 1;
  assert.equal(ejectionReason(few, POLICY, NOW), '');
});

test('a peer much slower than the others is ejected, but never for being faster than slowMsMin or alone', () => {
  const slow = evidenceOf(100, 1_000, 400);
  assert.equal(ejectionReason(slow, POLICY, { ...NOW, medianLatencyMs: 10 }), 'its replies take 400 ms (others 10 ms)');
  assert.equal(ejectionReason(slow, POLICY, { ...NOW, medianLatencyMs: 90 }), '');
  assert.equal(ejectionReason(slow, POLICY, NOW), '');
  assert.equal(ejectionReason(evidenceOf(100, 1_000, 99), POLICY, { ...NOW, medianLatencyMs: 1 }), '');
  assert.equal(ejectionReason(evidenceOf(10, 1_000, 400), POLICY, { ...NOW, medianLatencyMs: 10 }), '');
});

test('one slow reply of a cold peer does not eject it, and a first failure is no share of failures', () => {
  const evidence = new PeerEvidence();
  evidence.recordReply(true, 1_000);
  for (let count = 1; count < EVIDENCE_REPLIES_MIN; count++) evidence.recordReply(false, 2);
  assert.ok(Math.abs(evidence.latencyMs - (1_000 + 19 * 2) / 20) < 0.001);
  assert.ok(Math.abs(evidence.errorRate - 1 / 20) < 0.001);
  assert.equal(ejectionReason(evidence, POLICY, { ...NOW, medianLatencyMs: 2 }), '');
});

test('a clean sheet is clean', () => {
  const evidence = evidenceOf(50, 1, 500);
  evidence.ejectedUntilMs = 1;
  evidence.reset();
  assert.deepEqual({ ...evidence }, { ...new PeerEvidence() });
});
