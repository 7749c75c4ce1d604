/** Which of the working peers gets the next request. Pure but for its turn counter. */
import type { ChoicePolicy } from '../config/cluster-schema.ts';
import type { Random } from '../random.ts';

export interface Candidate {
  /** Whether it can take a request right now (window and streams left). */
  readonly writable: boolean;
  /** Requests sent to it and not yet answered. */
  readonly inFlight: number;
}

export type PeerChoice<Peer extends Candidate> = (working: readonly Peer[]) => Peer | undefined;

/**
 * Requests of one turn of the event loop that go to the same peer in a row. A batch that is cut up among the peers costs
 * each of them a message of its own; a run this short still gives every peer its share of a large batch.
 */
const RUN_MAX = 32;

/**
 * @param tick counts turns of the event loop in its `turn`
 * @returns a chooser; it gives undefined when none of the working peers is writable
 */
export function peerChoice<Peer extends Candidate>(
  policy: ChoicePolicy,
  random: Random,
  tick: { readonly turn: number },
): PeerChoice<Peer> {
  let turn = 0;
  let runTick = -1;
  let runLength = 0;
  const firstWritableFrom = (working: readonly Peer[], first: number): Peer | undefined => {
    for (let offset = 0; offset < working.length; offset++) {
      const peer = working[(first + offset) % working.length] as Peer;
      if (peer.writable) return peer;
    }
    return undefined;
  };
  switch (policy) {
    case 'round-robin':
      return (working) => {
        if (runTick !== tick.turn || ++runLength > RUN_MAX) {
          turn = turn + 1 >= 2 ** 30 ? 0 : turn + 1;
          runTick = tick.turn;
          runLength = 1;
        }
        return working.length === 0 ? undefined : firstWritableFrom(working, turn % working.length);
      };
    case 'random':
      return (working) => firstWritableFrom(working, Math.floor(random.float() * working.length));
    case 'least-loaded':
      return (working) => {
        turn = turn + 1 >= 2 ** 30 ? 0 : turn + 1;
        let best: Peer | undefined;
        for (let offset = 0; offset < working.length; offset++) {
          const peer = working[(turn + offset) % working.length] as Peer; // ties go round
          if (peer.writable && (best === undefined || peer.inFlight < best.inFlight)) best = peer;
        }
        return best;
      };
  }
}
