/** `trunkline test`: every check, or some of the tests. */
import type { Command } from 'commander';

export function registerTestCommand(program: Command): void {
  program
    .command('test')
    .summary('run every check: format, lint, types, tests')
    .description(
      'Runs format, lint, types and all tests, and stops at the first of them that fails. With parts of paths it runs ' +
        'just the test files that have one of them in theirs. With CI in the environment a skipped test counts as failed.',
    )
    .argument('[parts...]', "parts of test files' paths")
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline test\n  ./trunkline test shared/queue\n  ./trunkline test test/integration',
    )
    .action(async (patterns: string[]) => {
      const { runChecks } = await import('../checks/run-checks.ts');
      const inCi = !['', '0', 'false'].includes(process.env['CI'] ?? '');
      process.exit(await runChecks({ patterns, skipFails: inCi }));
    });
}
