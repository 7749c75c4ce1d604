/**
 * What is to be published next, out of what was published last and what should be. Pure.
 *
 * B1: a new state has a higher epoch than every state before it, also those that only servers still know of: when the
 *     coordinator's folder was restored from an old copy, the epoch jumps over the highest that a server reports.
 * B2: equal content is not published again. Manifests alone may change: they are kept, under the same epoch.
 */
import { isDeepStrictEqual } from 'node:util';
import type { PublishedState, TakenOutServers } from '../shared/published-state.ts';
import type { AcceptedConfig } from './config-publisher.ts';
import { onlyNamed, type RouteManifest, unionRoutes } from './route-catalog.ts';

/** What the coordinator keeps on disk. */
export interface Publication {
  readonly state: PublishedState;
  readonly manifests: readonly RouteManifest[];
}

/** What should be published. */
export interface Draft {
  readonly accepted: AcceptedConfig;
  readonly manifests: readonly RouteManifest[];
  readonly takenOut: TakenOutServers;
  /** Highest epoch known to be in use; 0: none. */
  readonly epochFloor: number;
  /** Of the journal; 0 with etcd. */
  readonly term: number;
}

export interface NextPublication {
  readonly publication: Publication;
  /** `manifests`: to be kept on disk; `state`: to be kept, then sent to every server. */
  readonly changed: 'nothing' | 'manifests' | 'state';
}

/**
 * Epoch of a cluster that is being born: seconds since 1970. A coordinator that lost its folder so begins above
 * whatever its servers still hold, as long as it had published less than once a second all its life (B1).
 */
export function birthEpochOf(wallMs: number): number {
  return Math.floor(wallMs / 1_000);
}

export function nextPublication(last: Publication | undefined, draft: Draft, birthEpoch: number): NextPublication {
  const { config, bucketMap } = draft.accepted;
  const appServers = config.groups.flatMap((group) => group.appServers.map((server) => server.id));
  const { takenOut, term } = draft;
  const manifests = onlyNamed(draft.manifests, new Set(appServers));
  const { routes } = unionRoutes(manifests);
  const lastEpoch = last?.state.epoch ?? birthEpoch - 1;
  const behind = lastEpoch < draft.epochFloor; // B1
  if (last !== undefined && !behind) {
    const same = { epoch: lastEpoch, term, config, bucketMap, routes, takenOut };
    if (isDeepStrictEqual(last.state, same)) {
      const changed = isDeepStrictEqual(last.manifests, manifests) ? 'nothing' : 'manifests'; // B2
      return { publication: { state: last.state, manifests }, changed };
    }
  }
  const epoch = Math.max(lastEpoch, draft.epochFloor) + 1; // B1
  return { publication: { state: { epoch, term, config, bucketMap, routes, takenOut }, manifests }, changed: 'state' };
}

/** @returns the draft with what it publishes above both epochs (B1), or the same draft when it is already */
export function aboveEpochs(draft: Draft, stateEpoch: number, mapEpoch: number): Draft {
  const { accepted, epochFloor } = draft;
  const bucketMap =
    accepted.bucketMap.epoch > mapEpoch ? accepted.bucketMap : { ...accepted.bucketMap, epoch: mapEpoch + 1 };
  if (stateEpoch <= epochFloor && bucketMap === accepted.bucketMap) return draft;
  return { ...draft, accepted: { ...accepted, bucketMap }, epochFloor: Math.max(epochFloor, stateEpoch) };
}
