/** Which groups each dispatcher says it can reach: what decides whether this interface server is ready. */
import type { Peer } from '../shared/balance/peer-pool.ts';
import { REACH_TOPIC, type ReachNotice } from '../shared/dispatcher-messages.ts';
import type { PublishedState } from '../shared/published-state.ts';

export class DispatcherReach {
  readonly #reachable = new WeakMap<Peer, ReadonlySet<string>>();

  onNotice(peer: Peer, topic: string, value: unknown): void {
    if (topic !== REACH_TOPIC) return;
    const groups = (value as Partial<ReachNotice> | null)?.groups;
    if (Array.isArray(groups)) this.#reachable.set(peer, new Set(groups as string[]));
  }

  /** Groups that no working dispatcher reaches, in words; empty when every group can be served. */
  missing(state: PublishedState, working: readonly Peer[]): string[] {
    if (working.length === 0) return ['no dispatcher works'];
    if (state.routes.length === 0) return ['no app server has published its routes yet'];
    return state.bucketMap.groupIds
      .filter((groupId) => !working.some((peer) => this.#reachable.get(peer)?.has(groupId) === true))
      .map((groupId) => `no dispatcher reaches a working app server of group ${groupId}`);
  }
}
