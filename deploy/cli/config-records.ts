/**
 * What `trunkline config history` and `rollback` read: the records in the park, the published state, and the config
 * that says where the coordinators are, even while its file is refused.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CONFIGS_DOMAIN, type ConfigRecord, configRecordSchema } from '../../coordinator-server/config-history.ts';
import { PUBLISHED_DOMAIN, STATE_NODE } from '../../coordinator-server/park-publication.ts';
import { type ClusterConfig, clusterSchema } from '../../shared/config/cluster-schema.ts';
import { defaultConfigFile } from '../../shared/config/default-config-file.ts';
import { formatConfigProblems, readClusterConfigFile } from '../../shared/config/load-cluster-config.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { PublishedState } from '../../shared/published-state.ts';
import { PublishedStateFile, publishedStatePath } from '../../shared/published-state-file.ts';
import { parsePublishedState } from '../../shared/published-state-schema.ts';
import { CHECKOUT_FOLDER } from './checkout.ts';
import { nodesOf } from './park.ts';
import type { ParkAdmin } from './park-admin.ts';

export interface RecordsOptions {
  readonly config?: string;
  readonly data?: string;
}

export interface FoundCluster {
  /** Absolute; what rollback writes. */
  readonly file: string;
  /** To reach the cluster by: of the file, or the config published last while the file has mistakes. */
  readonly config: ClusterConfig;
}

export type Asks = Pick<ParkAdmin, 'ask'>;

/**
 * @throws PlatformError CONFIG_INVALID when the file has mistakes and no server of this machine keeps a published config
 */
export async function findCluster(options: RecordsOptions): Promise<FoundCluster> {
  const file = options.config === undefined ? defaultConfigFile(CHECKOUT_FOLDER) : path.resolve(options.config);
  const result = await readClusterConfigFile(file);
  if (result.ok) return { file, config: result.config };
  const dataFolder = options.data ?? clusterSchema.shape.dataFolder.parse(undefined);
  const config = newestPublished(dataFolder)?.config;
  if (config !== undefined) return { file, config };
  const detail = `${formatConfigProblems(result.problems)}\nNo published config was found in ${dataFolder} either, to reach the cluster by: --data FOLDER says where else`;
  throw new PlatformError('CONFIG_INVALID', detail);
}

/** What servers keep on disk, read as every tier's is: a coordinator's holds more around its state. */
function newestPublished(dataFolder: string): PublishedState | undefined {
  const folder = path.resolve(CHECKOUT_FOLDER, dataFolder);
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const states = names.map((name) => {
    const file = publishedStatePath(CHECKOUT_FOLDER, dataFolder, name);
    const content = new PublishedStateFile(file, stateOf).peek();
    return 'value' in content ? content.value : undefined;
  });
  return states
    .filter((state) => state !== undefined)
    .sort((a, b) => a.epoch - b.epoch)
    .at(-1);
}

function stateOf(kept: unknown): PublishedState {
  return parsePublishedState((kept as { state?: unknown }).state ?? kept);
}

/** @returns oldest first @throws PlatformError NO_COORDINATOR */
export async function readRecords(admin: Asks): Promise<ConfigRecord[]> {
  const nodes = await nodesOf(admin, CONFIGS_DOMAIN);
  return nodes.map(({ value }) => configRecordSchema.parse(value)).sort((a, b) => a.epoch - b.epoch);
}

/** @throws PlatformError NO_COORDINATOR, PARK_NODE_UNKNOWN */
export async function readPublished(admin: Asks): Promise<PublishedState> {
  const { text } = await admin.ask('GET', `/park/${PUBLISHED_DOMAIN}/${STATE_NODE}`);
  return parsePublishedState(JSON.parse(text));
}

/** @throws PlatformError USAGE */
export function recordOf(records: readonly ConfigRecord[], epoch: string): ConfigRecord {
  const found = records.find((record) => String(record.epoch) === epoch);
  if (found !== undefined) return found;
  const known = records.map((record) => record.epoch).join(', ') || 'there are none yet';
  throw new PlatformError('USAGE', `expected the epoch of a config that was published (${known}), got "${epoch}"`);
}

/** @throws PlatformError USAGE */
export function textOf(record: ConfigRecord): string {
  if (record.text !== null) return record.text;
  const detail = `expected a config whose file was kept; that of epoch ${record.epoch} was changed while no coordinator saw it, or is too large`;
  throw new PlatformError('USAGE', detail);
}
