/** `trunkline bench`: measurements; never part of the tests. */
import type { Command } from 'commander';

export function registerBenchCommand(program: Command): void {
  program
    .command('bench')
    .summary('measure, beside peers in the same run')
    .description('Runs the files of test/bench: all of them, or the named ones. Takes minutes; keep the machine quiet.')
    .argument('[names...]', 'names of benchmarks, e.g. route')
    .option('--list', 'print the names there are, and run nothing')
    .addHelpText('after', '\nExamples:\n  ./trunkline bench --list\n  ./trunkline bench route')
    .action(async (names: string[], options: { list?: true }) => {
      const { runBenchmarks } = await import('../checks/run-benchmarks.ts');
      process.exit(await runBenchmarks(names, options.list === true));
    });
}
