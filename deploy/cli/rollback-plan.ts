/**
 * Which older config comes back, and what that changes. Pure.
 *
 * R1: what the coordinator would refuse is refused here: the older text passes the same checks.
 */
import { type ConfigRecord, configChecksum } from '../../coordinator-server/config-history.ts';
import { decideConfig } from '../../coordinator-server/config-publisher.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { formatConfigProblems, parseClusterConfig } from '../../shared/config/load-cluster-config.ts';
import { PlatformError } from '../../shared/errors.ts';
import type { PublishedState } from '../../shared/published-state.ts';
import { recordOf, textOf } from './config-records.ts';
import { lineDiff } from './line-diff.ts';

export interface Rollback {
  /** Of the config that is put back. */
  readonly epoch: number;
  readonly publishedEpoch: number;
  /** Top-level fields of the published config that become others; empty when only the file differs from it. */
  readonly changes: readonly string[];
  readonly diff: readonly string[];
  readonly text: string;
  readonly config: ClusterConfig;
}

/**
 * @param records oldest first
 * @param epoch undefined: the last config that is another than the published one
 * @param fileText what the file holds now
 * @throws PlatformError USAGE, CONFIG_INVALID, CONFIG_MOVES_DATA (R1)
 */
export function planRollback(
  records: readonly ConfigRecord[],
  epoch: string | undefined,
  published: PublishedState,
  fileText: string,
): Rollback {
  const record = epoch === undefined ? lastOther(records, published) : recordOf(records, epoch);
  const text = textOf(record);
  const parsed = parseClusterConfig(text, `epoch ${record.epoch}`);
  if (!parsed.ok) throw new PlatformError('CONFIG_INVALID', formatConfigProblems(parsed.problems));
  const decision = decideConfig(published, parsed.config, 0);
  if (decision.kind === 'refuse') throw new PlatformError(decision.code, decision.reasons.join('\n'));
  const changes = decision.kind === 'publish' ? decision.changes : [];
  const diff = lineDiff(fileText, text);
  return { epoch: record.epoch, publishedEpoch: published.epoch, changes, diff, text, config: parsed.config };
}

function lastOther(records: readonly ConfigRecord[], { config }: PublishedState): ConfigRecord {
  const checksum = configChecksum(config);
  const found = records.findLast((record) => record.checksum !== checksum);
  if (found !== undefined) return found;
  throw new PlatformError('USAGE', 'expected an older config to go back to; none but the one of now was published');
}

/** What a person decides by. */
export function planText({ epoch, publishedEpoch, changes, diff }: Rollback, file: string): string {
  const impact =
    changes.length === 0
      ? `The published config (epoch ${publishedEpoch}) is this one already; only the file differs.`
      : `It would be published above epoch ${publishedEpoch}, and change: ${changes.join(', ')}.`;
  return [`The config of epoch ${epoch} would replace ${file}:`, '', ...diff, '', impact, ''].join('\n');
}
