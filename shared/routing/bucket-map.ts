/** The bucket map as the coordinator publishes it, made from a config. */
import type { ClusterConfig } from '../config/cluster-schema.ts';
import type { BucketMap } from '../published-state.ts';
import { bucketOwners } from './frames.ts';

/** @throws PlatformError CONFIG_INVALID when the frames do not give every bucket one owner */
export function buildBucketMap(config: ClusterConfig, epoch: number): BucketMap {
  return { epoch, groupIds: config.groups.map((group) => group.id), owners: bucketOwners(config) };
}

/** Whether every bucket belongs to the group of the same name in both, in whatever order the groups are listed. */
export function sameOwners(a: BucketMap, b: BucketMap): boolean {
  return (
    a.owners.length === b.owners.length &&
    a.owners.every((owner, bucket) => a.groupIds[owner] === b.groupIds[b.owners[bucket] ?? -1])
  );
}
