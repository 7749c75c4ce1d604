/**
 * What `trunkline config rollback` does: puts an older config back. The config file stays what counts: the older text
 * takes its place, and the coordinator publishes it as it does every edit, under a new epoch.
 */
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { configChecksum } from '../../coordinator-server/config-history.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { coordinatorPlaces } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { PlatformError } from '../../shared/errors.ts';
import { findCluster, readPublished, readRecords } from './config-records.ts';
import { CoordinatorAdmin } from './coordinator-admin.ts';
import { ParkAdmin } from './park-admin.ts';
import { replaceFile } from './replace-file.ts';
import { planRollback, planText } from './rollback-plan.ts';

/** The coordinator looks at its file at least every 5 s. */
const PUBLISHED_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 100;

export interface RollbackOptions {
  readonly config?: string;
  readonly data?: string;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

/** @returns exit code: 0 when it is published (or only shown), 1 when the answer was no, or it is not published yet */
export async function rollback(epoch: string | undefined, options: RollbackOptions): Promise<number> {
  const { file, config } = await findCluster(options);
  await requireFileOfLeader(file, config);
  const park = new ParkAdmin(config);
  const fileText = fs.readFileSync(file, 'utf8');
  const plan = planRollback(await readRecords(park), epoch, await readPublished(park), fileText);
  const { text, config: older, ...shown } = plan;
  if (options.json !== true) process.stdout.write(planText(plan, file));
  if (options.dryRun === true || plan.diff.length === 0) {
    if (options.json === true) process.stdout.write(`${JSON.stringify({ file, ...shown }, null, 2)}\n`);
    else if (plan.diff.length === 0) process.stdout.write('The file is this config already.\n');
    return 0;
  }
  if (options.yes !== true && !(await isConfirmed(options))) {
    process.stdout.write('Nothing was changed.\n');
    return 1;
  }
  const copy = replaceFile(file, fileText, text);
  const epochNow = await untilPublished(park, older, systemClock);
  const result = { file, ...shown, kept: copy, publishedAs: epochNow ?? null };
  if (options.json === true) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else process.stdout.write(`${file} is that of epoch ${plan.epoch}; what it held is kept as ${copy}\n`);
  if (epochNow === undefined) {
    process.stderr.write(
      `It is not published within ${PUBLISHED_WITHIN_MS / 1_000} s: \`trunkline coordinator status\` says more\n`,
    );
    return 1;
  }
  if (options.json !== true) process.stdout.write(`Published as epoch ${epochNow}\n`);
  return 0;
}

/** @throws PlatformError USAGE when the coordinator that leads reads another file */
async function requireFileOfLeader(file: string, config: ClusterConfig): Promise<void> {
  const admin = new CoordinatorAdmin(config);
  for (const { admin: address } of coordinatorPlaces(config)) {
    const status = (await admin.statusOf(address).catch(() => undefined)) as LeaderStatus | undefined;
    if (status?.config === undefined || status.leader !== status.server) continue;
    if (isSameFile(status.config.file, file)) return;
    const detail = `expected the file that ${status.server} reads, ${status.config.file}, got ${file}: say --config, there; where it is on another machine, \`config history EPOCH\` prints the older one`;
    throw new PlatformError('USAGE', detail);
  }
  throw new PlatformError('NO_COORDINATOR', 'no coordinator answers that leads: a config is published by one');
}

interface LeaderStatus {
  readonly server: string;
  readonly leader: string;
  readonly config?: { readonly file: string };
}

function isSameFile(one: string, other: string): boolean {
  try {
    return path.resolve(one) === path.resolve(other) || fs.realpathSync(one) === fs.realpathSync(other);
  } catch {
    return false;
  }
}

/** @returns the epoch it is published under; undefined when that takes too long */
async function untilPublished(park: ParkAdmin, config: ClusterConfig, clock: Clock): Promise<number | undefined> {
  const checksum = configChecksum(config);
  const untilMs = clock.nowMs() + PUBLISHED_WITHIN_MS;
  for (;;) {
    const published = await readPublished(park).catch(() => undefined);
    if (published !== undefined && configChecksum(published.config) === checksum) return published.epoch;
    if (clock.nowMs() > untilMs) return undefined;
    await clock.sleep(LOOK_EVERY_MS);
  }
}

async function isConfirmed({ json }: RollbackOptions): Promise<boolean> {
  if (json === true || !process.stdin.isTTY)
    throw new PlatformError('USAGE', 'expected a terminal to ask at, got none: add --yes, or --dry-run');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question('Put it back? [y/N] ');
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
