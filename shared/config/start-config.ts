/**
 * Which config a server starts from, out of what the config file says now and the state that was published last, as
 * this server's disk holds it. Pure.
 *
 * A1: what the coordinator would refuse, no server starts from: a file with mistakes, or one that would move data, is
 *     passed over for the published config, with the reasons. An app server could otherwise open databases that do not
 *     hold its group's data.
 * A2: any other file is started from, also when it differs: addresses and limits may have been edited while the cluster
 *     was down, and the published state could not have followed.
 */
import path from 'node:path';
import type { PublishedState } from '../published-state.ts';
import { buildBucketMap } from '../routing/bucket-map.ts';
import type { ClusterConfig } from './cluster-schema.ts';
import { whatMovesData } from './data-moves.ts';
import { type ConfigProblem, formatConfigProblems } from './load-cluster-config.ts';

export type StartConfig =
  | { readonly kind: 'file'; readonly config: ClusterConfig }
  | {
      readonly kind: 'published';
      readonly config: ClusterConfig;
      /** Why it is not the file. */
      readonly code: 'CONFIG_INVALID' | 'CONFIG_MOVES_DATA';
      /** A line each. */
      readonly reasons: readonly string[];
    }
  /** The file has mistakes, and nothing was ever published to this server. */
  | { readonly kind: 'none'; readonly problems: readonly ConfigProblem[] };

/** What a config file was found to hold. */
export type FoundConfig =
  | { readonly ok: true; readonly config: ClusterConfig }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

export function chooseStartConfig(file: FoundConfig, published: PublishedState | undefined): StartConfig {
  if (!file.ok) {
    if (published === undefined) return { kind: 'none', problems: file.problems };
    const reasons = formatConfigProblems(file.problems).split('\n');
    return { kind: 'published', config: published.config, code: 'CONFIG_INVALID', reasons }; // A1
  }
  const { config } = file;
  if (published === undefined) return { kind: 'file', config };
  const bucketMap = buildBucketMap(config, published.bucketMap.epoch);
  const reasons = whatMovesData(published, { config, bucketMap });
  if (reasons.length === 0) return { kind: 'file', config }; // A2
  return { kind: 'published', config: published.config, code: 'CONFIG_MOVES_DATA', reasons }; // A1
}

/**
 * A state that was found in a data folder. Moved or restored elsewhere, the folder holds states that still name its old
 * place; the databases are where the state is.
 * @param dataFolder where it was found, relative to `rootFolder`
 * @param rootFolder absolute
 */
export function stateAsFound(state: PublishedState, dataFolder: string, rootFolder: string): PublishedState {
  const named = path.resolve(rootFolder, state.config.dataFolder);
  if (named === path.resolve(rootFolder, dataFolder)) return state;
  return { ...state, config: { ...state.config, dataFolder } };
}
