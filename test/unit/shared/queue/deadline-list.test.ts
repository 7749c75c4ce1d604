import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeadlineList, DeadlineMember, SWEEP_EVERY_MS } from '../../../../shared/queue/deadline-list.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import '../../../support/property-runs.ts';

class Waiting extends DeadlineMember {
  readonly name: string;

  constructor(name: string, deadlineAtMs: number) {
    super();
    this.name = name;
    this.deadlineAtMs = deadlineAtMs;
  }
}

test('a deadline is noticed after its instant, at most one sweep late, and once', () => {
  const clock = new FakeClock(0);
  const expired: { name: string; atMs: number }[] = [];
  const list = new DeadlineList<Waiting>(clock, ({ name }) => expired.push({ name, atMs: clock.nowMs() }));
  for (const atMs of [10, 25, 26, 100]) list.add(new Waiting(String(atMs), atMs));
  clock.advance(1_000);
  assert.deepEqual(
    expired.map(({ name }) => name),
    ['25', '10', '26', '100'],
  );
  for (const { name, atMs } of expired) assert.ok(atMs >= Number(name) && atMs < Number(name) + SWEEP_EVERY_MS);
  assert.equal(list.length, 0);
});

test('N1: it holds exactly what was added and neither removed nor expired', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('add', 'remove', 'sweep'), fc.nat(9)), {
    maxLength: 60,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (commands) => {
      const clock = new FakeClock(0);
      const expired: Waiting[] = [];
      const list = new DeadlineList<Waiting>(clock, (member) => expired.push(member));
      const members = Array.from({ length: 10 }, (_, index) => new Waiting(String(index), index * 10));
      const model = new Set<Waiting>();
      for (const [what, index] of commands) {
        const member = members[index] as Waiting;
        if (what === 'add' && !model.has(member)) {
          list.add(member);
          model.add(member);
        } else if (what === 'remove') {
          list.remove(member);
          model.delete(member);
        } else if (what === 'sweep') {
          clock.stall(10);
          expired.length = 0;
          list.sweep();
          const due = [...model].filter(({ deadlineAtMs }) => deadlineAtMs <= clock.nowMs());
          assert.deepEqual(new Set(expired), new Set(due));
          for (const one of due) model.delete(one);
        }
        assert.equal(list.length, model.size);
      }
    }),
  );
});

test('a member that another’s expiry removes is not reported, and those behind it are', () => {
  const clock = new FakeClock(0);
  const expired: string[] = [];
  const members = ['c', 'b', 'a'].map((name) => new Waiting(name, 10)); // added last, swept first
  const list = new DeadlineList<Waiting>(clock, ({ name }) => {
    expired.push(name);
    if (name === 'a') list.remove(members[1] as Waiting);
  });
  for (const member of members) list.add(member);
  clock.advance(SWEEP_EVERY_MS);
  clock.advance(SWEEP_EVERY_MS);
  assert.deepEqual(expired, ['a', 'c']);
});

test('closing it stops its timer', () => {
  const clock = new FakeClock(0);
  const list = new DeadlineList<Waiting>(clock, () => assert.fail('swept after close'));
  list.add(new Waiting('x', 1));
  list.close();
  clock.advance(1_000);
  assert.equal(clock.pendingTimers, 0);
});
