/** The config a command works on: the file named on the command line, or the default one. */
import path from 'node:path';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { defaultConfigFile } from '../../shared/config/default-config-file.ts';
import { formatConfigProblems, readClusterConfigFile } from '../../shared/config/load-cluster-config.ts';
import { PlatformError } from '../../shared/errors.ts';
import { CHECKOUT_FOLDER } from './checkout.ts';

export interface ReadConfig {
  /** Absolute. */
  readonly file: string;
  readonly config: ClusterConfig;
}

/**
 * @param file relative to the caller's folder
 * @throws PlatformError CONFIG_INVALID, one line a problem
 */
export async function readConfig(file: string | undefined): Promise<ReadConfig> {
  const absolute = file === undefined ? defaultConfigFile(CHECKOUT_FOLDER) : path.resolve(file);
  const result = await readClusterConfigFile(absolute);
  if (!result.ok) throw new PlatformError('CONFIG_INVALID', formatConfigProblems(result.problems));
  return { file: absolute, config: result.config };
}
