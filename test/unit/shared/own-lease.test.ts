import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseAtAnswer, leaseAtJoin, leaseAtRenewal } from '../../../shared/own-lease.ts';

test('a lease counts from when the join was sent, however late the answer comes', () => {
  assert.equal(leaseAtAnswer(leaseAtJoin(undefined, 100), 0, 1_000).untilMs, 1_100);
});

test('nothing is believed before the first answer', () => {
  assert.ok(leaseAtJoin(undefined, 100).untilMs < 100);
});

test('an answer to the newest renewal prolongs, and one to an older one that comes after it does not', () => {
  const joined = leaseAtAnswer(leaseAtJoin(undefined, 0), 0, 1_000);
  const renewedTwice = leaseAtRenewal(leaseAtRenewal(joined, 300), 600);
  const answered = leaseAtAnswer(renewedTwice, 2, 1_000);
  assert.equal(answered.untilMs, 1_600);
  assert.equal(leaseAtAnswer(answered, 1, 1_000).untilMs, 1_600);
});

test('an answer to what was never sent changes nothing', () => {
  const joined = leaseAtJoin(undefined, 0);
  assert.equal(leaseAtAnswer(joined, 7, 1_000), joined);
});

test('an answer that knows no lease ends it', () => {
  const joined = leaseAtAnswer(leaseAtJoin(undefined, 0), 0, 1_000);
  const answered = leaseAtAnswer(leaseAtRenewal(joined, 300), 1, 0);
  assert.ok(answered.untilMs < 0);
});

test('a lease from the former link runs on until the new link has one', () => {
  const joined = leaseAtAnswer(leaseAtJoin(undefined, 0), 0, 1_000);
  assert.equal(leaseAtJoin(joined, 500).untilMs, 1_000);
});

test('unanswered renewals stay bounded', () => {
  let lease = leaseAtJoin(undefined, 0);
  for (let renewal = 1; renewal <= 1_000; renewal++) lease = leaseAtRenewal(lease, renewal);
  assert.ok(lease.sent.length <= 8);
});
