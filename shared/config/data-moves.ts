/**
 * Which differences between two configs would make an account's requests reach a database that does not hold the
 * account's data. Pure.
 *
 * X1: a difference nobody thought of is harmless only if no database, bucket or account key is concerned: this file
 *     names what moves data, and `test/unit/shared/config/data-moves.test.ts` holds it against every field of the schema.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BucketMap, PublishedState } from '../published-state.ts';
import type { ClusterConfig, GroupConfig, ReplicaConfig } from './cluster-schema.ts';

/** A config and the bucket map made from it. */
export type MappedConfig = Pick<PublishedState, 'config' | 'bucketMap'>;

const PUT_BACK = 'put it back as it was';

/** @returns one sentence per difference, with what to do about it; empty when no data would have to move (X1) */
export function whatMovesData(accepted: MappedConfig, next: MappedConfig): string[] {
  const [before, after] = [accepted.config, next.config];
  return [
    ...chosenAtBirth('cluster', before.cluster, after.cluster, 'servers of the old name would be refused'),
    ...chosenAtBirth('dataFolder', before.dataFolder, after.dataFolder, 'the databases stay in the old folder'),
    ...chosenAtBirth('hash.kind', before.hash.kind, after.hash.kind, 'accounts would fall into other buckets'),
    ...chosenAtBirth('hash.buckets', before.hash.buckets, after.hash.buckets, 'accounts would fall into other buckets'),
    ...accountKeyReasons(before, after),
    ...groupReasons(before.groups, after.groups),
    ...ownerReasons(accepted.bucketMap, next.bucketMap),
  ];
}

function chosenAtBirth(field: string, before: unknown, after: unknown, effect: string): string[] {
  if (before === after) return [];
  return [`${field}: was ${before}, the file says ${after}; it is chosen at birth (${effect}): ${PUT_BACK}.`];
}

function accountKeyReasons(before: ClusterConfig, next: ClusterConfig): string[] {
  if (isDeepStrictEqual(before.accountKey, next.accountKey)) return [];
  const [was, is] = [before, next].map((config) => JSON.stringify(config.accountKey.sources));
  return [
    `accountKey.sources: were ${was}, the file says ${is}; requests would be taken for those of other accounts: ${PUT_BACK}.`,
  ];
}

function groupReasons(before: readonly GroupConfig[], next: readonly GroupConfig[]): string[] {
  const reasons: string[] = [];
  for (const group of before) {
    const kept = next.find((other) => other.id === group.id);
    if (kept === undefined) {
      reasons.push(`groups: ${group.id} is missing; the data of its accounts would be out of reach: ${PUT_BACK}.`);
    } else {
      reasons.push(...replicaReasons(group, kept));
    }
  }
  return reasons;
}

function replicaReasons(before: GroupConfig, next: GroupConfig): string[] {
  const where = `groups.${before.id}.replicas`;
  const reasons: string[] = [];
  for (const replica of before.replicas) {
    const kept = next.replicas.find((other) => other.id === replica.id);
    if (kept === undefined) {
      reasons.push(
        `${where}: ${replica.id} is missing; to lose a replica is a change of view, not of config: ${PUT_BACK}.`,
      );
    } else if (placeOf(kept) !== placeOf(replica)) {
      const differs = `was ${placeOf(replica)}, the file says ${placeOf(kept)}`;
      reasons.push(
        `${where}.${replica.id}: ${differs}; the database there does not hold the group's data: ${PUT_BACK}.`,
      );
    }
  }
  for (const replica of next.replicas) {
    if (before.replicas.some((other) => other.id === replica.id)) continue;
    reasons.push(`${where}: ${replica.id} is new and holds nothing of the group's data yet: take it out again.`);
  }
  if (reasons.length > 0) return reasons;
  const [was, is] = [before, next].map((group) => group.replicas.map((replica) => replica.id).join(', '));
  if (was !== is) {
    reasons.push(`${where}: the order was ${was}, the file says ${is}; the first one leads every write: ${PUT_BACK}.`);
  }
  return reasons;
}

/** Which database a replica is; users, passwords and numbers of connections may change. */
function placeOf(replica: ReplicaConfig): string {
  return replica.kind === 'sqlite' ? `sqlite file ${replica.file}` : `mysql ${replica.address}/${replica.database}`;
}

function ownerReasons(before: BucketMap, next: BucketMap): string[] {
  if (before.owners.length !== next.owners.length) return []; // said by hash.buckets
  const reasons: string[] = [];
  let bucket = 0;
  while (bucket < before.owners.length) {
    const [was, is] = [ownerOf(before, bucket), ownerOf(next, bucket)];
    let end = bucket + 1;
    while (end < before.owners.length && ownerOf(before, end) === was && ownerOf(next, end) === is) end += 1;
    if (was !== is) reasons.push(ownerReason(bucket, end - 1, was, is));
    bucket = end;
  }
  return reasons;
}

function ownerOf(map: BucketMap, bucket: number): string {
  return map.groupIds[map.owners[bucket] ?? -1] ?? 'nobody';
}

function ownerReason(first: number, last: number, was: string, is: string): string {
  const range = first === last ? `bucket ${first} belongs` : `buckets ${first}-${last} belong`;
  return `frames: ${range} to ${was}, the file gives ${first === last ? 'it' : 'them'} to ${is}, where their data is not: put the frames back. Moving buckets is a regroup, which this version cannot do yet.`;
}
