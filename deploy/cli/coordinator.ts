/** `trunkline coordinator status|snapshot|promote`: looks at the coordinators, and puts one in a lost one's place. */
import type { Command } from 'commander';
import type { ServerConfig } from '../../shared/config/cluster-schema.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { CoordinatorAdmin } from './coordinator-admin.ts';
import { readConfig } from './read-config.ts';

interface CommandOptions {
  readonly config?: string;
  readonly force?: true;
  readonly json?: true;
}

const CONFIG_OPTION = 'of the running cluster (default: cluster.yaml if there is one, else the local cluster)';

export function registerCoordinatorCommand(program: Command): void {
  const coordinator = program
    .command('coordinator')
    .description('Looks at the coordinators, and puts the checkpointer in the place of a lost one.')
    .addHelpText('after', '\nExamples:\n  ./trunkline coordinator status\n  ./trunkline coordinator promote');
  coordinator
    .command('status')
    .description(
      'Every coordinator and checkpointer of the config: which leads, how much it holds, how far it follows.',
    )
    .option('--config <file>', CONFIG_OPTION)
    .option('--json', 'everything they say, as JSON')
    .action(async (options: CommandOptions) => {
      const { places, admin } = await coordinatorsOf(options);
      const { lines, json, exitCode } = await coordinatorsStatus(places, admin);
      process.stdout.write(options.json === true ? `${JSON.stringify(json, null, 2)}\n` : `${lines.join('\n')}\n`);
      process.exitCode = exitCode;
    });
  coordinator
    .command('snapshot')
    .description('Has a snapshot of the park made now: by the checkpointer if there is one, else by the coordinator.')
    .option('--config <file>', CONFIG_OPTION)
    .action(async (options: CommandOptions) => {
      const { places, checkpointer, admin } = await coordinatorsOf(options);
      const line = await orderSnapshot(checkpointer === undefined ? places : [checkpointer, ...places], admin);
      process.stdout.write(`${line}\n`);
    });
  coordinator
    .command('promote')
    .description(
      'Makes the checkpointer the coordinator, when the coordinator is lost for good. The old one, should it return, ' +
        'refuses to serve. What it had acknowledged in its last moments and not sent yet is lost.',
    )
    .option('--config <file>', CONFIG_OPTION)
    .option('--force', 'also while the coordinator answers')
    .action(async (options: CommandOptions) => {
      const { coordinators, checkpointer, admin } = await coordinatorsOf(options);
      const line = await promote(coordinators, checkpointer, admin, options.force === true);
      process.stdout.write(`${line}\n`);
    });
}

interface Coordinators {
  /** All of them. */
  readonly places: readonly ServerConfig[];
  readonly coordinators: readonly ServerConfig[];
  readonly checkpointer: ServerConfig | undefined;
  readonly admin: CoordinatorAdmin;
}

async function coordinatorsOf({ config: file }: CommandOptions): Promise<Coordinators> {
  const { config } = await readConfig(file);
  const { CoordinatorAdmin } = await import('./coordinator-admin.ts');
  const { coordinatorPlaces } = await import('../../shared/cluster-servers.ts');
  const { servers: coordinators, checkpointer } = config.coordinator;
  return { places: coordinatorPlaces(config), coordinators, checkpointer, admin: new CoordinatorAdmin(config) };
}

type Asks = Pick<CoordinatorAdmin, 'statusOf' | 'actAt'>;

/** @returns exit code 1 when one of them does not answer */
export async function coordinatorsStatus(
  places: readonly ServerConfig[],
  admin: Asks,
): Promise<{ lines: string[]; json: unknown; exitCode: number }> {
  const answers = await Promise.all(
    places.map(async ({ id, admin: address }) => {
      const status = await admin.statusOf(address).catch((thrown: unknown) => toPlatformError(thrown));
      return { id, address, status };
    }),
  );
  const lines = answers.map(({ id, address, status }) =>
    status instanceof PlatformError
      ? `${id}  ${address}  does not answer: ${status.detail}`
      : `${id}  ${address}  ${lineOf(id, status)}`,
  );
  const json = answers.map(({ id, status }) =>
    status instanceof PlatformError ? { server: id, failure: status.detail } : status,
  );
  return { lines, json, exitCode: answers.some(({ status }) => status instanceof PlatformError) ? 1 : 0 };
}

interface CoordinatorAnswer {
  readonly checkpointer?: boolean;
  readonly leader?: string;
  readonly term?: number;
  readonly nodes?: number;
  readonly state?: { readonly kind: string; readonly reason?: string; readonly behindBy?: number };
  readonly writeFailure?: string;
  readonly park?: {
    readonly kind: string;
    readonly nodes: number;
    readonly sessions: number;
    readonly revision: number;
    readonly writeFailure: string;
  };
}

function lineOf(id: string, status: unknown): string {
  const { checkpointer, leader, term, nodes, state, park, writeFailure } = status as CoordinatorAnswer;
  if (checkpointer === true) {
    const { kind = 'unknown', reason, behindBy = 0 } = state ?? {};
    const how =
      kind === 'following' ? `follows, ${behindBy} records behind` : `${kind}: ${reason ?? 'it reads the snapshot'}`;
    return `checkpointer of term ${term}, ${nodes} nodes; ${how}${failureOf(writeFailure)}`;
  }
  const role = leader === id ? 'leads' : `follows ${leader === '' ? 'nobody yet' : leader}`;
  const where = park?.kind === 'etcd' ? 'etcd' : `journal of term ${term}`;
  const { revision, sessions } = park ?? { revision: 0, sessions: 0 };
  return `${role}; ${where}, revision ${revision}, ${park?.nodes} nodes, ${sessions} sessions${failureOf(park?.writeFailure)}`;
}

function failureOf(writeFailure: string | undefined): string {
  return writeFailure === undefined || writeFailure === '' ? '' : `; takes no writes: ${writeFailure}`;
}

/** @param places in the order they are asked */
export async function orderSnapshot(places: readonly ServerConfig[], admin: Asks): Promise<string> {
  let refused: PlatformError | undefined;
  for (const { id, admin: address } of places) {
    try {
      const { records } = (await admin.actAt(address, 'snapshot', {})) as { records: number };
      return `${id} has made a snapshot of ${records} records`;
    } catch (thrown) {
      refused = toPlatformError(thrown);
    }
  }
  throw refused ?? new PlatformError('NO_COORDINATOR', 'the config names no coordinator');
}

/** @throws PlatformError USAGE when that is not safe, or there is no checkpointer */
export async function promote(
  coordinators: readonly ServerConfig[],
  checkpointer: ServerConfig | undefined,
  admin: Asks,
  force: boolean,
): Promise<string> {
  if (checkpointer === undefined) {
    const detail =
      'expected `coordinator.checkpointer` in the config, there is none: a lost coordinator is restored from a copy of its folder';
    throw new PlatformError('USAGE', detail);
  }
  for (const { id, admin: address } of force ? [] : coordinators) {
    const status = await admin.statusOf(address).catch(() => undefined);
    if (status === undefined) continue;
    const detail = `expected a coordinator that is lost, ${id} answers at ${address}: stop it first, or add --force`;
    throw new PlatformError('USAGE', detail);
  }
  const { term } = (await admin.actAt(checkpointer.admin, 'promote', {})) as { term: number };
  return `${checkpointer.id} is the coordinator, in term ${term}. Make another server the checkpointer: edit the config, with ${checkpointer.id} under coordinator.servers.`;
}
