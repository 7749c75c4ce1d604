/** `trunkline config history|rollback`: which configs were published, what each one was, and one of them put back. */
import process from 'node:process';
import type { Command } from 'commander';
import type { ConfigRecord } from '../../coordinator-server/config-history.ts';
import type { RollbackOptions } from './config-rollback.ts';
import { tableOf } from './park.ts';

interface HistoryOptions {
  readonly config?: string;
  readonly data?: string;
  readonly json?: true;
}

const CONFIG_OPTION = 'of the running cluster (default: cluster.yaml if there is one, else the local cluster)';
const DATA_OPTION = 'where servers keep their state, to reach the cluster by while its config has mistakes';

export function registerConfigHistory(config: Command): void {
  config
    .command('history')
    .argument('[epoch]', 'print the file of this one')
    .description('Every config that was published, the newest last; or the file of one, as it was.')
    .option('--config <file>', CONFIG_OPTION)
    .option('--data <folder>', DATA_OPTION)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline config history\n  ./trunkline config history 1795174436 > old.yaml',
    )
    .action(async (epoch: string | undefined, options: HistoryOptions) => {
      const { findCluster, readRecords, recordOf, textOf } = await import('./config-records.ts');
      const { ParkAdmin } = await import('./park-admin.ts');
      const records = await readRecords(new ParkAdmin((await findCluster(options)).config));
      if (epoch === undefined) {
        process.stdout.write(historyText(records, options.json === true));
        return;
      }
      const record = recordOf(records, epoch);
      process.stdout.write(options.json === true ? `${JSON.stringify(record, null, 2)}\n` : textOf(record));
    });
}

export function registerConfigRollback(config: Command): void {
  config
    .command('rollback')
    .argument('[epoch]', 'as `config history` shows it (default: the last config that is another than that of now)')
    .description(
      'Puts an older config back in place of the config file, after showing what that changes and asking. The ' +
        'coordinator publishes it as it does every edit. What the file held is kept beside it.',
    )
    .option('--config <file>', CONFIG_OPTION)
    .option('--data <folder>', DATA_OPTION)
    .option('--dry-run', 'only show what it would change')
    .option('--yes', 'do not ask')
    .option('--json', 'the result as JSON; needs --yes or --dry-run')
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline config rollback\n  ./trunkline config rollback 1795174436 --dry-run',
    )
    .action(async (epoch: string | undefined, options: RollbackOptions) => {
      const { rollback } = await import('./config-rollback.ts');
      process.exitCode = await rollback(epoch, options);
    });
}

/** @param records oldest first */
export function historyText(records: readonly ConfigRecord[], asJson: boolean): string {
  if (asJson) {
    const rows = records.map(({ text, ...facts }) => ({ ...facts, kept: text !== null }));
    return `${JSON.stringify(rows, null, 2)}\n`;
  }
  if (records.length === 0) return 'no config was published yet\n';
  const rows = records.map(({ epoch, at, changes, checksum, text }) => [
    String(epoch),
    at,
    checksum.slice(0, 12),
    text === null ? 'no' : 'yes',
    changes.join(', ') || 'not known',
  ]);
  return tableOf(['EPOCH', 'PUBLISHED', 'CHECKSUM', 'FILE KEPT', 'CHANGES'], rows);
}
