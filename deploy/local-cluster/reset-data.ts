/** Deletes a cluster's data folder and nothing else. */
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { PlatformError } from '../../shared/errors.ts';
import { CHECKOUT_FOLDER } from '../cli/checkout.ts';
import { readConfig } from '../cli/read-config.ts';
import { runningClusterPid } from './data-folder-lock.ts';

export interface ResetOptions {
  readonly config?: string;
  readonly yes?: true;
}

/** @returns exit code: 0 when the folder is gone, 1 when the answer was no */
export async function resetData(options: ResetOptions): Promise<number> {
  const { config } = await readConfig(options.config);
  const folder = path.resolve(CHECKOUT_FOLDER, config.dataFolder);
  if (!fs.existsSync(folder)) {
    process.stdout.write(`Nothing to delete: ${folder} does not exist.\n`);
    return 0;
  }
  requireDeletable(folder, CHECKOUT_FOLDER);
  if (options.yes !== true && !(await isConfirmed(folder))) {
    process.stdout.write('Nothing was deleted.\n');
    return 1;
  }
  requireDeletable(folder, CHECKOUT_FOLDER); // somebody may have started it while the question stood there
  fs.rmSync(folder, { recursive: true });
  process.stdout.write(`Deleted ${folder}\n`);
  return 0;
}

/** @throws PlatformError USAGE when a cluster runs on it, or when it holds more than a cluster's data */
export function requireDeletable(folder: string, checkout: string): void {
  const holdsCheckout = !path.relative(folder, checkout).startsWith('..');
  if (holdsCheckout) {
    throw new PlatformError(
      'USAGE',
      `dataFolder: expected a folder of its own, got ${folder}, which holds Trunkline itself.`,
    );
  }
  const runner = runningClusterPid(folder);
  if (runner !== undefined) {
    throw new PlatformError(
      'USAGE',
      `A cluster runs on ${folder} (process ${runner}). Stop it first: Ctrl-C there, or kill ${runner}.`,
    );
  }
}

async function isConfirmed(folder: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new PlatformError(
      'USAGE',
      `Expected a terminal to ask for confirmation, got none. Add --yes to delete ${folder} without asking.`,
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Delete ${folder}? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
