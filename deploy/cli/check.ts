/** `trunkline check`: `test` as it runs in CI. */
import type { Command } from 'commander';

export function registerCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('run every check as CI does: a skipped test counts as failed')
    .description('Runs all that `trunkline test` runs, and takes a skipped test for a failed one, as in CI.')
    .addHelpText('after', '\nExample:\n  ./trunkline check')
    .action(async () => {
      const { runChecks } = await import('../checks/run-checks.ts');
      process.exit(await runChecks({ patterns: [], skipFails: true }));
    });
}
