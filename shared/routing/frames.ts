/**
 * Which group owns which bucket, from the config's frames.
 *
 * F1: an assignment without problems gives every bucket exactly one owner.
 */
import type { ClusterConfig } from '../config/cluster-schema.ts';
import { PlatformError } from '../errors.ts';

export type Frame = readonly [first: number, last: number];

export interface FrameProblem {
  /** In the config, e.g. ['groups', 0, 'frames', 1]. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export interface FrameAssignment {
  /** Index of the owning group per bucket; −1 where nobody is (then there is a problem). */
  readonly owners: number[];
  readonly problems: readonly FrameProblem[];
}

/**
 * The classic rule: step = floor(buckets / groups); the last group takes the rest.
 * @param groupCount 1..buckets
 */
export function evenFrames(groupCount: number, buckets: number): readonly Frame[] {
  const step = Math.floor(buckets / groupCount);
  return Array.from({ length: groupCount }, (_, index): Frame => {
    const isLast = index === groupCount - 1;
    return [index * step, isLast ? buckets - 1 : (index + 1) * step - 1];
  });
}

/** @returns group index per bucket. @throws PlatformError CONFIG_INVALID naming the first gap, overlap or misfit */
export function bucketOwners(config: ClusterConfig): number[] {
  const { owners, problems } = assignFrames(config);
  const first = problems[0];
  if (first !== undefined) throw new PlatformError('CONFIG_INVALID', `${first.path.join('.')}: ${first.message}`);
  return owners;
}

/** Says all that is wrong with the frames at once, for whoever edits them. */
export function assignFrames(config: ClusterConfig): FrameAssignment {
  return config.frames === undefined ? assignListed(config) : assignEvenly(config, config.frames);
}

function assignEvenly({ groups, hash: { buckets } }: ClusterConfig, count: number): FrameAssignment {
  const problems: FrameProblem[] = [];
  if (count !== groups.length) {
    problems.push({
      path: ['frames'],
      message: `expected the number of groups, which is ${groups.length}, came ${count}; or leave it out and give each group its own frames`,
    });
  }
  if (count > buckets) {
    problems.push({
      path: ['frames'],
      message: `expected at most one frame a bucket (hash.buckets is ${buckets}), came ${count}`,
    });
  }
  for (const [index, group] of groups.entries()) {
    if (group.frames === undefined) continue;
    problems.push({
      path: ['groups', index, 'frames'],
      message: `expected no frames here, because \`frames: ${count}\` at the top splits the buckets; keep one of the two`,
    });
  }
  const owners = new Array<number>(buckets).fill(-1);
  if (problems.length > 0) return { owners, problems };
  for (const [index, [first, last]] of evenFrames(count, buckets).entries()) owners.fill(index, first, last + 1); // F1
  return { owners, problems };
}

function assignListed({ groups, hash: { buckets } }: ClusterConfig): FrameAssignment {
  const owners = new Array<number>(buckets).fill(-1);
  const problems: FrameProblem[] = [];
  for (const [groupIndex, group] of groups.entries()) {
    if (group.frames === undefined) {
      problems.push({
        path: ['groups', groupIndex, 'frames'],
        message: `expected the buckets of group ${group.id}, came none; list them, or split all buckets with \`frames: ${groups.length}\` at the top`,
      });
      continue;
    }
    for (const [frameIndex, text] of group.frames.entries()) {
      const message = takeFrame(owners, text, groupIndex, groups);
      if (message !== '') problems.push({ path: ['groups', groupIndex, 'frames', frameIndex], message });
    }
  }
  // A frame that was refused leaves a hole of its own: only a list that is right in itself is asked for gaps.
  const gaps = problems.length > 0 ? [] : gapsOf(owners);
  if (gaps.length > 0) {
    const named = gaps.slice(0, GAPS_NAMED_MAX).map(frameText).join(', ');
    const more = gaps.length > GAPS_NAMED_MAX ? ` and ${gaps.length - GAPS_NAMED_MAX} more gaps` : '';
    problems.push({
      path: ['groups'],
      message: `expected a group for every bucket 0-${buckets - 1}, none has ${named}${more}`,
    });
  }
  return { owners, problems }; // F1
}

/** Every gap of a cluster written by hand; a list of all odd buckets is not read to its end. */
const GAPS_NAMED_MAX = 5;

/** @returns what is wrong with the frame, or '' after taking its buckets */
function takeFrame(
  owners: number[],
  text: string | number,
  groupIndex: number,
  groups: ClusterConfig['groups'],
): string {
  const [first = 0, last = first] = String(text).split('-').map(Number);
  if (first > last) return `expected a range first-last, came ${text}: ${first} is above ${last}`;
  if (last >= owners.length)
    return `expected buckets up to ${owners.length - 1} (hash.buckets is ${owners.length}), came ${text}`;
  const taken = owners.slice(first, last + 1).findIndex((owner) => owner !== -1);
  if (taken !== -1) {
    const bucket = first + taken;
    const owner = groups[owners[bucket] ?? 0]?.id;
    return `expected buckets of no other frame, came ${text}: bucket ${bucket} is in a frame of group ${owner} already`;
  }
  owners.fill(groupIndex, first, last + 1);
  return '';
}

function gapsOf(owners: readonly number[]): Frame[] {
  const gaps: Frame[] = [];
  for (let bucket = 0; bucket < owners.length; bucket += 1) {
    if (owners[bucket] !== -1) continue;
    const first = bucket;
    while (owners[bucket + 1] === -1) bucket += 1;
    gaps.push([first, bucket]);
  }
  return gaps;
}

function frameText([first, last]: Frame): string {
  return first === last ? String(first) : `${first}-${last}`;
}
