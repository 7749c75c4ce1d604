/**
 * What a dispatcher keeps for one group: links to its app servers, and a queue with a scanner of its own, so that a
 * group that is stuck or flooded never holds up another.
 */
import type { PeerPool } from '../shared/balance/peer-pool.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { OUTAGE_HELD_MAX } from '../shared/constants.ts';
import { RequestQueue } from '../shared/queue/request-queue.ts';
import { type HandedOn, Scanner } from '../shared/queue/scanner.ts';
import type { Tick } from '../shared/queue/tick.ts';
import type { DispatchedRequest } from './dispatched-request.ts';
import { GroupShare } from './group-share.ts';

export class GroupLane {
  readonly groupId: string;
  readonly pool: PeerPool;
  readonly queue: RequestQueue<DispatchedRequest>;
  readonly scanner: Scanner<DispatchedRequest>;
  readonly share = new GroupShare();

  constructor(
    groupId: string,
    queues: ClusterConfig['queues'],
    tick: Tick,
    makePool: (onUsable: () => void) => PeerPool,
    handOn: (lane: GroupLane, request: DispatchedRequest) => HandedOn,
  ) {
    this.groupId = groupId;
    this.queue = new RequestQueue(queues);
    this.scanner = new Scanner(this.queue, tick, (request) => handOn(this, request));
    this.pool = makePool(() => this.scanner.wake());
  }

  /** Whether a request for this group can be sent somewhere. */
  get reachable(): boolean {
    return this.pool.working.length > 0;
  }

  /** None can be sent anywhere, and as many as may wait for a young outage to end do (OUTAGE_HELD_MAX). */
  get crowded(): boolean {
    return this.queue.waiting >= OUTAGE_HELD_MAX && !this.reachable;
  }
}
