/**
 * Brings followers back in step with the leader after a crash.
 *
 * C1: what is prepared and unfinished is finished as the leader's log says, and only once its owner can no longer commit.
 * C2: what a follower lacks is replayed from the leader's log in seq order, statements and log row in one transaction.
 * C3: a follower that has what the leader lacks is never changed and never used: REPLICAS_DIVERGED.
 */
import type { Clock } from '../../shared/clock.ts';
import { CATCH_UP_CHUNK } from '../limits.ts';
import type { Replica, ReplicaSession } from '../replica.ts';
import { replay } from './replay.ts';

/** An owner that lives finishes in milliseconds, or in a lock wait (2 s); one that takes longer is cut off. */
const OWNER_GRACE_MS = 3_000;
const OWNER_POLL_MS = 20;

/** C1, for every prepared transaction of one follower. @returns how many were finished */
export async function finishInDoubt(leader: Replica, follower: Replica, clock: Clock): Promise<number> {
  const giveUpAtMs = clock.nowMs() + OWNER_GRACE_MS;
  let finished = 0;
  let waitingFor = new Set(await follower.inDoubt());
  while (waitingFor.size > 0) {
    const patient = clock.nowMs() < giveUpAtMs;
    for (const xid of waitingFor) {
      if (patient && !(await leader.isDecided(xid))) continue; // C1
      await follower.resolve(xid, await leader.settle(xid));
      waitingFor.delete(xid);
      finished += 1;
    }
    if (waitingFor.size === 0) break;
    await clock.sleep(OWNER_POLL_MS);
    const present = await follower.inDoubt();
    waitingFor = new Set(present.filter((xid) => waitingFor.has(xid))); // later ones are not left over from a crash
  }
  return finished;
}

export interface Levelled {
  /** The follower's session to go on with. */
  readonly session: ReplicaSession;
  readonly copied: number;
  /** There is more to copy than `entriesMax`. */
  readonly behind: boolean;
}

/**
 * C2 for a serial kind, under the locks of both sessions. The follower's transaction is committed after each chunk, so
 * that what is found in the leader's log from here on is in the follower's file too. When it throws, the follower's
 * session has ended.
 */
export async function levelUnderLocks(
  leader: Replica,
  follower: Replica,
  session: ReplicaSession,
  entriesMax: number,
): Promise<Levelled> {
  let current = session;
  let copied = 0;
  try {
    for (;;) {
      const entries = await leader.lackedBy(follower, CATCH_UP_CHUNK); // C3
      if (entries.length === 0) return { session: current, copied, behind: false };
      if (copied >= entriesMax) return { session: current, copied, behind: true };
      await replay(current, entries);
      await current.commit();
      copied += entries.length;
      current = await follower.begin('preparable', '', 0);
    }
  } catch (thrown) {
    await current.rollback();
    throw thrown;
  }
}

/** C2 for a kind whose writers run side by side: one transaction an entry. @returns how many were copied */
export async function levelBesideWriters(leader: Replica, follower: Replica): Promise<number> {
  let copied = 0;
  for (;;) {
    const entries = await leader.lackedBy(follower, CATCH_UP_CHUNK); // C3
    if (entries.length === 0) return copied;
    let progress = 0;
    for (const entry of entries) {
      const session = await follower.begin('ordinary', '', 0);
      try {
        await replay(session, [entry]);
        await session.commit();
        progress += 1;
      } catch (thrown) {
        await session.rollback();
        // Its owner was only slow, and has finished it meanwhile.
        if ((await follower.findLogged([entry.requestId])).length === 0) throw thrown;
      }
    }
    copied += progress;
    if (progress === 0) return copied;
  }
}
