/**
 * Decides what becomes of a new config: published, refused, or nothing new. Pure.
 *
 * C1: what would make an account's requests reach a database that does not hold the account's data is never published:
 *     it is refused, with every difference named and what to do about it (data-moves.ts).
 * C2: everything else is published as it is.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { whatMovesData } from '../shared/config/data-moves.ts';
import { toPlatformError } from '../shared/errors.ts';
import type { BucketMap } from '../shared/published-state.ts';
import { buildBucketMap } from '../shared/routing/bucket-map.ts';

export interface AcceptedConfig {
  readonly config: ClusterConfig;
  readonly bucketMap: BucketMap;
}

export type ConfigDecision =
  | { readonly kind: 'nothing' }
  /** `changes` names the top-level fields that differ. */
  | { readonly kind: 'publish'; readonly accepted: AcceptedConfig; readonly changes: readonly string[] }
  | {
      readonly kind: 'refuse';
      readonly code: 'CONFIG_INVALID' | 'CONFIG_MOVES_DATA';
      readonly reasons: readonly string[];
    };

/**
 * @param accepted undefined: the cluster is being born, and takes the file as it is
 * @param birthEpoch epoch of a born cluster's bucket map
 */
export function decideConfig(
  accepted: AcceptedConfig | undefined,
  next: ClusterConfig,
  birthEpoch: number,
): ConfigDecision {
  if (accepted !== undefined && isDeepStrictEqual(accepted.config, next)) return { kind: 'nothing' };
  let bucketMap: BucketMap;
  try {
    bucketMap = buildBucketMap(next, accepted === undefined ? birthEpoch : accepted.bucketMap.epoch + 1);
  } catch (thrown) {
    return { kind: 'refuse', code: 'CONFIG_INVALID', reasons: [toPlatformError(thrown, 'CONFIG_INVALID').detail] };
  }
  if (accepted === undefined) return { kind: 'publish', accepted: { config: next, bucketMap }, changes: ['birth'] };
  const reasons = whatMovesData(accepted, { config: next, bucketMap });
  if (reasons.length > 0) return { kind: 'refuse', code: 'CONFIG_MOVES_DATA', reasons }; // C1
  const unmoved = isDeepStrictEqual(accepted.bucketMap.groupIds, bucketMap.groupIds);
  return {
    kind: 'publish',
    accepted: { config: next, bucketMap: unmoved ? accepted.bucketMap : bucketMap },
    changes: changedFields(accepted.config, next),
  }; // C2
}

function changedFields(before: ClusterConfig, after: ClusterConfig): string[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof ClusterConfig)[];
  return fields.filter((field) => !isDeepStrictEqual(before[field], after[field]));
}
