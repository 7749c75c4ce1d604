/** `trunkline reset`: forgets everything the local cluster stored. */
import type { Command } from 'commander';

interface ResetOptions {
  readonly config?: string;
  readonly yes?: true;
}

export function registerResetCommand(program: Command): void {
  program
    .command('reset')
    .summary('delete the data folder, after asking')
    .description(
      'Deletes the data folder of a config: accounts, logs, the cluster token. Refuses while the cluster runs.',
    )
    .option('--config <file>', 'the cluster whose data goes (default: the local cluster that comes with Trunkline)')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExamples:\n  ./trunkline reset\n  ./trunkline reset --yes --config my-cluster.yaml')
    .action(async (options: ResetOptions) => {
      const { resetData } = await import('../local-cluster/reset-data.ts');
      process.exitCode = await resetData(options);
    });
}
