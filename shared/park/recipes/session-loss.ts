/**
 * Who is to hear that a session is lost: as ParkSession.onLost, but one can stop listening. An app server's session lives
 * for days, and what was held by it and given back must not be remembered for as long.
 */
import type { ParkSession } from '../park.ts';

const LISTENERS = new WeakMap<ParkSession, Set<() => void>>();

/** @returns stops listening. Calls `listener` at once when it is lost already */
export function onSessionLost(session: ParkSession, listener: () => void): () => void {
  let listeners = LISTENERS.get(session);
  if (listeners === undefined) {
    const made = new Set<() => void>();
    listeners = made;
    LISTENERS.set(session, made);
    listeners.add(listener);
    session.onLost(() => {
      const told = [...made];
      made.clear();
      LISTENERS.delete(session); // whoever comes later hears it from the session itself
      for (const one of told) one();
    });
  } else listeners.add(listener);
  const joined = listeners;
  return () => void joined.delete(listener);
}
