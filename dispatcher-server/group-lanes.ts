/** The lanes of all groups, kept in step with the published state. */
import { PeerPool, type PeerStatus } from '../shared/balance/peer-pool.ts';
import { systemClock } from '../shared/clock.ts';
import { identityOf } from '../shared/cluster-member.ts';
import type { GroupConfig } from '../shared/config/cluster-schema.ts';
import { drained } from '../shared/drained.ts';
import { linkSettingsOf } from '../shared/link/link-settings.ts';
import type { PublishedState } from '../shared/published-state.ts';
import type { Tick } from '../shared/queue/tick.ts';
import type { ServerOptions } from '../shared/server-process.ts';
import type { DispatcherPipeline } from './dispatcher-pipeline.ts';
import { GroupLane } from './group-lane.ts';

/** A dispatcher that starts waits this long for its app servers, so that it takes no request it cannot place. */
const FIRST_REACH_MS_MAX = 1_000;

export class GroupLanes {
  readonly #server: ServerOptions;
  readonly #incarnation: string;
  readonly #tick: Tick;
  readonly #pipeline: DispatcherPipeline;
  readonly #onReach: () => void;
  readonly #byGroup = new Map<string, GroupLane>();
  inMapOrder: GroupLane[] = [];

  constructor(
    server: ServerOptions,
    incarnation: string,
    tick: Tick,
    pipeline: DispatcherPipeline,
    onReach: () => void,
  ) {
    this.#server = server;
    this.#incarnation = incarnation;
    this.#tick = tick;
    this.#pipeline = pipeline;
    this.#onReach = onReach;
  }

  applyState(state: PublishedState): void {
    for (const group of state.config.groups) {
      const lane = this.#byGroup.get(group.id) ?? this.#open(group, state);
      lane.queue.configure(state.config.queues);
      const servers = group.appServers.map(({ id, listen }) => ({ id, address: listen, takenOut: state.takenOut[id] }));
      lane.pool.configure(servers, { policy: group.policy, health: state.config.health });
    }
    this.inMapOrder = state.bucketMap.groupIds.map((groupId) => this.#byGroup.get(groupId) as GroupLane);
  }

  get known(): boolean {
    return this.inMapOrder.length > 0;
  }

  get reachable(): string[] {
    return this.inMapOrder.filter((lane) => lane.reachable).map((lane) => lane.groupId);
  }

  get unreachable(): string[] {
    return this.inMapOrder.filter((lane) => !lane.reachable).map((lane) => lane.groupId);
  }

  get waiting(): number {
    return this.inMapOrder.reduce((sum, lane) => sum + lane.queue.waiting, 0);
  }

  async firstReach(): Promise<void> {
    const reachesAll = (): number => (this.known && this.unreachable.length === 0 ? 0 : 1);
    await drained(systemClock, reachesAll, FIRST_REACH_MS_MAX);
  }

  depths(): { labels: { group: string; class: string }; value: number }[] {
    return this.inMapOrder.flatMap((lane) =>
      lane.queue
        .depths()
        .map(({ name, waiting }) => ({ labels: { group: lane.groupId, class: name }, value: waiting })),
    );
  }

  peers(): PeerStatus[] {
    return this.inMapOrder.flatMap((lane) => lane.pool.status());
  }

  peerStates(): { labels: { peer: string }; value: number }[] {
    return this.peers().map(({ id, state }) => ({ labels: { peer: id }, value: state === 'ready' ? 1 : 0 }));
  }

  status(): unknown[] {
    return this.inMapOrder.map((lane) => ({
      group: lane.groupId,
      queues: lane.queue.depths(),
      appServers: lane.pool.status(),
    }));
  }

  close(): void {
    for (const lane of this.#byGroup.values()) lane.pool.close();
  }

  #open(group: GroupConfig, state: PublishedState): GroupLane {
    const makePool = (onUsable: () => void): PeerPool =>
      new PeerPool({
        role: 'app',
        identity: identityOf(this.#server, 'dispatcher', this.#incarnation),
        settings: linkSettingsOf(state.config),
        health: state.config.health,
        policy: group.policy,
        linksPerPeer: state.config.dispatcher.linksPerPeer,
        log: this.#server.log.child({ group: group.id }),
        tick: this.#tick,
        onUsable,
        onVerdict: this.#onReach,
      });
    const lane = new GroupLane(group.id, state.config.queues, this.#tick, makePool, (own, request) =>
      this.#pipeline.handOn(own, request),
    );
    this.#byGroup.set(group.id, lane);
    return lane;
  }
}
