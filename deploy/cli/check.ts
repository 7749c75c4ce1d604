/** `trunkline check`: `test` as it runs in CI; with `--soak`, the tests that have a full length, at that length. */
import type { Command } from 'commander';

const DESCRIPTION =
  'Runs all that `trunkline test` runs, and takes a skipped test for a failed one, as in CI.\n\n' +
  'With --soak it runs just the tests that have a full length, at that length: the fault tests (test/fault: minutes of ' +
  'load, kills, stalls and hostile peers), each with the machine to itself, and the property tests (what imports ' +
  'test/support/property-runs.ts). They say their figures and seeds. It takes hours; with parts of paths it runs only ' +
  'the files that have one of them in theirs.';

export function registerCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('run every check as CI does: a skipped test counts as failed; --soak: the long tests')
    .description(DESCRIPTION)
    .option('--soak [parts...]', "tests at full length; parts of test files' paths")
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline check\n  ./trunkline check --soak\n  ./trunkline check --soak kill-servers',
    )
    .action(async ({ soak }: { soak?: true | string[] }) => {
      const { runChecks } = await import('../checks/run-checks.ts');
      const patterns = Array.isArray(soak) ? soak : [];
      process.exit(await runChecks({ patterns, skipFails: true, soak: soak !== undefined }));
    });
}
