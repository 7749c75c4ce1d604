/** Which config a command works on when it is told none. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** @returns `cluster.yaml` of the folder when it is there, else the local cluster that comes with Trunkline; absolute */
export function defaultConfigFile(rootFolder: string): string {
  const own = path.resolve(rootFolder, 'cluster.yaml');
  return existsSync(own) ? own : path.resolve(rootFolder, 'deploy/clusters/local.yaml');
}
