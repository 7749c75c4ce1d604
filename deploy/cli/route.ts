/** `trunkline route KEY`: where an account key goes, by the same arithmetic the dispatchers use. */
import process from 'node:process';
import type { Command } from 'commander';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { PlatformError } from '../../shared/errors.ts';
import { accountKeyComplaint } from '../../shared/routing/account-key-limits.ts';
import { bucketOwners } from '../../shared/routing/frames.ts';
import { bucketOfHash, type HashKind, hashOfKey } from '../../shared/routing/jdk-hash.ts';
import { readConfig } from './read-config.ts';
import { routeLines } from './route-lines.ts';

interface RouteOptions {
  readonly config?: string;
  readonly json?: true;
  readonly stdin?: true;
}

export interface KeyRoute {
  readonly key: string;
  readonly hash: number;
  readonly bucket: number;
  readonly group: string;
}

/** Finds the way of any string; the limits of account keys are not its business. */
export class KeyRouter {
  readonly #kind: HashKind;
  readonly #buckets: number;
  readonly #groupOfBucket: readonly string[];

  constructor(config: ClusterConfig) {
    this.#kind = config.hash.kind;
    this.#buckets = config.hash.buckets;
    this.#groupOfBucket = bucketOwners(config).map((owner) => config.groups[owner]?.id ?? '');
  }

  route(key: string): KeyRoute {
    const hash = hashOfKey(key, this.#kind);
    const bucket = bucketOfHash(hash, this.#buckets);
    return { key, hash, bucket, group: this.#groupOfBucket[bucket] ?? '' };
  }
}

export function registerRouteCommand(program: Command): void {
  program
    .command('route')
    .argument('[key]', 'the account key; after `--` when it begins with a dash')
    .summary('say where an account key goes')
    .description('Prints the hash, bucket, group and app servers of an account key.')
    .option(
      '--config <file>',
      'the cluster asked about (default: cluster.yaml if there is one, else the local cluster)',
    )
    .option('--json', 'print JSON')
    .option(
      '--stdin',
      'with --json: read keys from standard input, one JSON string a line, and print one JSON object a line',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline route alice\n  ./trunkline route --json -- -42\n  ./trunkline route --stdin --json < keys.jsonl\n\n' +
        '--stdin prints {"key","hash","bucket","group"} for each line. A line that is no JSON string is named on standard\nerror; the others go on, and the exit code is 1.',
    )
    .action(async (key: string | undefined, options: RouteOptions) => {
      checkUsage(key, options);
      const { config } = await readConfig(options.config);
      if (key !== undefined) printRoute(key, config, options.json === true);
      else if (!(await routeStandardInput(config))) process.exitCode = 1;
    });
}

/** @throws PlatformError USAGE */
function checkUsage(key: string | undefined, options: RouteOptions): void {
  const usage = (detail: string) => new PlatformError('USAGE', detail);
  if (options.stdin !== true) {
    if (key === undefined)
      throw usage('expected an account key, came none: trunkline route KEY, or --stdin --json for many');
    return;
  }
  if (key !== undefined) throw usage('expected either a key or --stdin, came both');
  if (options.json !== true) throw usage('expected --json beside --stdin: keys are read as JSON strings, one a line');
}

function printRoute(key: string, config: ClusterConfig, asJson: boolean): void {
  const route = new KeyRouter(config).route(key);
  const appServers = config.groups.find((group) => group.id === route.group)?.appServers ?? [];
  process.stdout.write(
    asJson
      ? `${JSON.stringify({ ...route, appServers: appServers.map(({ id }) => id) })}\n`
      : routeText(route, config, appServers),
  );
  const complaint = accountKeyComplaint(key);
  if (complaint !== '') process.stderr.write(`note: no request can carry this key: ${complaint}\n`);
}

function routeText(
  route: KeyRoute,
  { hash }: ClusterConfig,
  appServers: readonly { id: string; listen: string }[],
): string {
  return [
    `key          ${JSON.stringify(route.key)}`,
    `hash         ${route.hash} (${hash.kind})`,
    `bucket       ${route.bucket} of 0-${hash.buckets - 1}`,
    `group        ${route.group}`,
    `app servers  ${appServers.map(({ id, listen }) => `${id} (${listen})`).join(', ')}`,
    '',
  ].join('\n');
}

async function routeStandardInput(config: ClusterConfig): Promise<boolean> {
  const router = new KeyRouter(config);
  const problems = await routeLines(process.stdin, process.stdout, (key) => JSON.stringify(router.route(key)));
  if (problems.count === 0) return true;
  process.stderr.write(`${problems.lines.join('\n')}\n`);
  if (problems.count > problems.lines.length)
    process.stderr.write(`and ${problems.count - problems.lines.length} more lines\n`);
  return false;
}
