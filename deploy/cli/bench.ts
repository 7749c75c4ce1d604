/** `trunkline bench`: measurements; never part of the tests. */
import type { Command } from 'commander';

interface BenchFlags {
  readonly list?: true;
  readonly rounds?: string;
  readonly seconds?: string;
  readonly minutes?: string;
}

export function registerBenchCommand(program: Command): void {
  program
    .command('bench')
    .summary('measure, beside peers in the same run')
    .description(
      'Runs the files of test/bench: all of them, or the named parts. Takes half an hour; keep the machine quiet.\n' +
        'With 5 rounds or more it writes test/bench/results/, and the figures in docs/performance.md and README.md.',
    )
    .argument('[parts...]', 'route, read, write, growth, memory')
    .option('--list', 'print the names there are, and run nothing')
    .option('--rounds <n>', 'turns of each contestant; figures are medians (default: 5)')
    .option('--seconds <n>', 'of load in one turn (default: 4)')
    .option('--minutes <n>', 'of load in which memory must not grow (default: 1)')
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline bench --list\n  ./trunkline bench route\n  ./trunkline bench route --rounds 1 --seconds 1   # a look',
    )
    .action(async (parts: string[], flags: BenchFlags) => {
      const { listBenchmarks, runBenchmarks } = await import('../checks/run-benchmarks.ts');
      if (flags.list === true) {
        process.stdout.write(
          listBenchmarks()
            .map((name) => `${name}\n`)
            .join(''),
        );
        return;
      }
      const { readBenchOptions } = await import('../checks/bench-options.ts');
      const given = (['rounds', 'seconds', 'minutes'] as const).flatMap((name) =>
        flags[name] === undefined ? [] : [`--${name}=${flags[name]}`],
      );
      process.exit(await runBenchmarks(parts, readBenchOptions(given)));
    });
}
