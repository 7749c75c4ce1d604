/**
 * How much of an interface server the requests of one group may take up.
 *
 * An interface server has at most `concurrency` requests of a class out, and does not know their groups: were all of
 * them of one group that is slow, stuck or flooded, every other group's would wait behind them. So each dispatcher takes
 * of each interface server, for each group, its part of GROUP_SHARE and refuses more with QUEUE_FULL.
 *
 * W1: over all dispatchers, the requests of one group never take up all that an interface server may have out.
 * W2: a cluster of one group has nobody to protect: there, nothing is refused for its share.
 */
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import type { Link } from '../shared/link/link.ts';

/** Enough that a group which has the cluster to itself is hardly held back, and that the others still pass beside it. */
const GROUP_SHARE = 0.75;

/** @returns for each class, the most requests of one group that a dispatcher takes of one interface server at a time */
export function groupSharesOf(config: ClusterConfig): readonly number[] {
  const dispatchers = config.dispatcher.servers.length;
  return Object.values(config.queues).map(({ concurrency }) => {
    if (config.groups.length === 1) return Number.POSITIVE_INFINITY; // W2
    return Math.max(1, Math.floor((concurrency * GROUP_SHARE) / dispatchers)); // W1
  });
}

/** Requests of one class that an interface server has with one group, by way of this dispatcher. */
export interface ShareSeat {
  taken: number;
}

/** What the interface servers have with one group. */
export class GroupShare {
  /** For each link the seats of its classes; gone with the link. */
  readonly #seats = new WeakMap<Link, ShareSeat[]>();

  /** @returns the seat, which the caller frees with `taken--` when the request is done, or undefined: none is left */
  take(origin: Link, requestClass: number, shares: readonly number[]): ShareSeat | undefined {
    let seats = this.#seats.get(origin);
    if (seats === undefined) {
      seats = [];
      this.#seats.set(origin, seats);
    }
    const index = requestClass < shares.length ? requestClass : 0; // as the queue counts it
    let seat = seats[index];
    if (seat === undefined) {
      seat = { taken: 0 };
      seats[index] = seat;
    }
    if (seat.taken >= (shares[index] as number)) return undefined;
    seat.taken++;
    return seat;
  }
}
