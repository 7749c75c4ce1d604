/** `trunkline up`: a whole cluster on this machine. */
import type { Command } from 'commander';
import type { LogLevel } from '../../shared/log.ts';

interface UpOptions {
  readonly config?: string;
  readonly singleProcess?: true;
  readonly mariadb?: true;
  readonly logLevel: LogLevel;
}

export function registerUpCommand(program: Command): void {
  const command = program.command('up');
  const logLevel = command.createOption('--log-level <level>', 'least level that is logged');
  command
    .summary('start a whole cluster on this machine')
    .description(
      'Starts every server of a config, each in a process of its own, restarts those that die, and stops them all with ' +
        'Ctrl-C. Relative paths in the config are relative to the Trunkline folder.',
    )
    .option('--config <file>', 'the cluster to start (default: the local cluster that comes with Trunkline)')
    .option('--single-process', 'run every server in one process')
    .option(
      '--mariadb',
      'start a MariaDB server, too, for every MySQL replica on this machine (default config: deploy/clusters/local-mariadb.yaml)',
    )
    .addOption(logLevel.choices(['trace', 'debug', 'info', 'warn', 'error']).default('info'))
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline up\n  ./trunkline up --mariadb\n  ./trunkline up --config my-cluster.yaml --log-level debug',
    )
    .action(async (options: UpOptions) => {
      const { runCluster } = await import('../local-cluster/run-cluster.ts');
      process.exit(await runCluster(options)); // at once: a timer that still runs must not hold up a Ctrl-C
    });
}
