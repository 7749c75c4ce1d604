import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { finishInDoubt } from '../../../../db/commit/recovery.ts';
import type { Replica, Verdict } from '../../../../db/replica.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

/** Transactions prepared on the follower: what their leader says, and whether their owner still lives. */
interface Prepared {
  readonly verdict: Verdict;
  decided: boolean;
}

/** A clock that jumps as soon as somebody sleeps, after telling the test. */
class JumpingClock extends ManualClock {
  onSleep: () => void = () => undefined;

  override sleep(delayMs: number): Promise<void> {
    this.advance(delayMs);
    this.onSleep();
    return Promise.resolve();
  }
}

function pairOf(prepared: Map<string, Prepared>): { leader: Replica; follower: Replica; resolved: string[] } {
  const resolved: string[] = [];
  const leader = {
    isDecided: (xid: string) => prepared.get(xid)?.decided ?? true,
    settle: (xid: string) => prepared.get(xid)?.verdict ?? 'absent',
  } as unknown as Replica;
  const follower = {
    inDoubt: () => [...prepared.keys()],
    resolve: (xid: string, verdict: Verdict) => {
      prepared.delete(xid);
      resolved.push(`${xid} ${verdict}`);
    },
  } as unknown as Replica;
  return { leader, follower, resolved };
}

describe('finishing what is in doubt', () => {
  test('commits what the leader has logged and rolls back what it has not', async () => {
    const prepared = new Map<string, Prepared>([
      ['a', { verdict: 'committed', decided: true }],
      ['b', { verdict: 'absent', decided: true }],
    ]);
    const { leader, follower, resolved } = pairOf(prepared);
    assert.equal(await finishInDoubt(leader, follower, new JumpingClock()), 2);
    assert.deepEqual(resolved, ['a committed', 'b absent']);
  });

  test('leaves an owner that lives the time to finish by itself', async () => {
    const prepared = new Map<string, Prepared>([['a', { verdict: 'absent', decided: false }]]);
    const { leader, follower, resolved } = pairOf(prepared);
    const clock = new JumpingClock();
    clock.onSleep = () => prepared.delete('a');
    assert.equal(await finishInDoubt(leader, follower, clock), 0);
    assert.deepEqual(resolved, []);
  });

  test('cuts an owner off that does not finish, and waits for none that came later', async () => {
    const prepared = new Map<string, Prepared>([['a', { verdict: 'absent', decided: false }]]);
    const { leader, follower, resolved } = pairOf(prepared);
    const clock = new JumpingClock();
    const startedAtMs = clock.nowMs();
    clock.onSleep = () => prepared.set('later', { verdict: 'absent', decided: false });
    await finishInDoubt(leader, follower, clock);
    assert.deepEqual(resolved, ['a absent']);
    const tookMs = clock.nowMs() - startedAtMs;
    assert.ok(tookMs > 2_000, `a lock wait takes 2 s, cut off after ${tookMs} ms`);
  });

  test('with nothing in doubt does nothing', async () => {
    const { leader, follower } = pairOf(new Map());
    assert.equal(await finishInDoubt(leader, follower, new JumpingClock()), 0);
  });
});
