/** The `trunkline` command: its subcommands, and how it ends. Each subcommand loads what it needs when it runs. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError } from 'commander';
import { registerBenchCommand } from './cli/bench.ts';
import { registerCheckCommand } from './cli/check.ts';
import { CHECKOUT_FOLDER } from './cli/checkout.ts';
import { registerConfigCommand } from './cli/config.ts';
import { registerCoordinatorCommand } from './cli/coordinator.ts';
import { EXIT_USAGE, exitCodeOf, messageOf } from './cli/exit.ts';
import { registerParkCommand } from './cli/park.ts';
import { registerResetCommand } from './cli/reset.ts';
import { registerRouteCommand } from './cli/route.ts';
import { registerDrainCommand, registerMaintCommand, registerReadyCommand } from './cli/service-commands.ts';
import { registerTestCommand } from './cli/test.ts';
import { registerUpCommand } from './cli/up.ts';

function version(): string {
  const file = readFileSync(path.join(CHECKOUT_FOLDER, 'package.json'), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}

function buildProgram(): Command {
  const program = new Command('trunkline')
    .description('A four-tier request-routing platform for backends whose data belongs to accounts.')
    .version(version())
    .helpCommand(false)
    .showSuggestionAfterError()
    .showHelpAfterError('(--help says more)')
    .exitOverride();
  registerUpCommand(program);
  registerDrainCommand(program);
  registerReadyCommand(program);
  registerMaintCommand(program);
  registerTestCommand(program);
  registerCheckCommand(program);
  registerBenchCommand(program);
  registerRouteCommand(program);
  registerConfigCommand(program);
  registerCoordinatorCommand(program);
  registerParkCommand(program);
  registerResetCommand(program);
  return program;
}

// Whoever read the output has gone (`trunkline … | head`): there is nobody left to work for. Servers of `up` stop too.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await buildProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what it had to say; code 0 is --help and --version.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else {
    process.stderr.write(`trunkline: ${messageOf(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
// A command may leave sockets or timers behind; its work is done. Output to a pipe is written before this.
if (process.exitCode !== undefined && process.exitCode !== 0) process.exit();
