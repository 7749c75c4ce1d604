/** `trunkline drain SERVER`, `maint SERVER`, `ready SERVER`: take a server of a running cluster out, and put it back. */
import type { Command } from 'commander';
import { PlatformError } from '../../shared/errors.ts';
import { readConfig } from './read-config.ts';

interface OrderOptions {
  readonly config?: string;
  readonly force?: true;
  readonly wait?: true;
  readonly timeout: string;
}

export function registerDrainCommand(program: Command): void {
  orderCommand(program, 'drain')
    .summary('take a server out: nothing new for it, what it has is finished')
    .description(
      'Takes a server out gently: it is sent nothing new, and finishes what it has. An interface server says 503 at ' +
        '/-/ready and closes each connection with its next reply. It stays out, also when it is started again, until `ready`.',
    )
    .option('--force', 'also when it is the last one that does its work')
    .addHelpText('after', '\nExamples:\n  ./trunkline drain g1a --wait\n  ./trunkline drain i1 --wait --timeout 120');
}

export function registerMaintCommand(program: Command): void {
  orderCommand(program, 'maint')
    .summary('take a server out at once, as if it had died')
    .description(
      'Takes a server out at once: its peers close their links to it, and send what it had to others, as if it had died. ' +
        'An interface server refuses with 503. It stays out, also when it is started again, until `ready`.',
    )
    .option('--force', 'also when it is the last one that does its work')
    .addHelpText('after', '\nExample:\n  ./trunkline maint g1a');
}

export function registerReadyCommand(program: Command): void {
  orderCommand(program, 'ready')
    .summary('put a server back that was taken out')
    .description('Puts a server back into service that `drain` or `maint` took out.')
    .addHelpText('after', '\nExample:\n  ./trunkline ready g1a --wait');
}

function orderCommand(program: Command, action: 'drain' | 'maint' | 'ready'): Command {
  return program
    .command(action)
    .argument('<server>', 'id of the server, as in the config')
    .option('--config <file>', 'of the running cluster (default: cluster.yaml if there is one, else the local cluster)')
    .option('--wait', 'return once it is carried out everywhere')
    .option('--timeout <seconds>', 'with --wait: how long; then the exit code is 1, and the order stands', '60')
    .action(async (server: string, options: OrderOptions) => {
      const timeoutMs = readTimeout(options.timeout);
      const { config } = await readConfig(options.config);
      const { CoordinatorAdmin } = await import('./coordinator-admin.ts');
      const { giveOrder } = await import('./service-order.ts');
      const order = { action, server, force: options.force === true, wait: options.wait === true, timeoutMs };
      process.exitCode = await giveOrder(order, new CoordinatorAdmin(config), (line) => {
        process.stdout.write(`${line}\n`);
      });
    });
}

/** @throws PlatformError USAGE */
function readTimeout(text: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds * 1_000;
  throw new PlatformError('USAGE', `--timeout: expected seconds above 0, e.g. 60, came "${text}"`);
}
