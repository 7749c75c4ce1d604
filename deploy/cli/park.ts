/** `trunkline park get|put|ls|watch|rm`: the park of a running cluster, by hand. */
import process from 'node:process';
import type { Command } from 'commander';
import { PlatformError } from '../../shared/errors.ts';
import type { ParkAdmin, ParkAnswer } from './park-admin.ts';
import { readConfig } from './read-config.ts';

interface ParkOptions {
  readonly config?: string;
  readonly json?: true;
  readonly force?: true;
  readonly access?: string;
  readonly ttl?: string;
  readonly ifRevision?: string;
}

export interface WireNode {
  readonly domain: string;
  readonly node: string;
  readonly value: unknown;
  readonly version: number;
  readonly modRevision: number;
  readonly access: string;
  readonly ephemeral: boolean;
  readonly owner: string;
}

/** Characters of a value in a listing; `get` shows all of it. */
const VALUE_CHARS_MAX = 60;

export function registerParkCommand(program: Command): void {
  const park = program
    .command('park')
    .description('The park: what the cluster agrees on, and what you put there. Domains hold nodes, nodes hold JSON.')
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline park ls\n  ./trunkline park put billing limits \'{"perDay": 100}\'\n  ./trunkline park get billing limits\n  ./trunkline park watch billing',
    );
  subcommand(park, 'ls', '[domain]', 'Domains; or the nodes of one.').action(
    async (domain: string | undefined, options: ParkOptions) =>
      await print(await list(await adminOf(options), domain, options)),
  );
  subcommand(park, 'get', '<domain> <node>', 'The value of a node; with --json, all that is known of it.').action(
    async (domain: string, node: string, options: ParkOptions) =>
      await print(await get(await adminOf(options), domain, node, options)),
  );
  subcommand(
    park,
    'put',
    '<domain> <node> <value>',
    'Creates or updates a node. VALUE is JSON; - reads it from standard input.',
  )
    .option('--access <right>', 'of a new node, for everybody but its creator: read, read-write, all')
    .option('--ttl <time>', 'the node goes so long after its last write: 500ms, 30s, 5m')
    .option('--if-revision <revision>', 'only if the node is still at this revision; 0: only if there is none')
    .option('--force', 'also what its access right does not allow')
    .action(
      async (domain: string, node: string, value: string, options: ParkOptions) =>
        await print(
          await put(await adminOf(options), domain, node, value === '-' ? await standardInput() : value, options),
        ),
    );
  subcommand(park, 'rm', '<domain> [node]', 'Deletes a node; or a domain with all its nodes.')
    .option('--if-revision <revision>', 'only if the node is still at this revision')
    .option('--force', 'also what its access right does not allow')
    .action(
      async (domain: string, node: string | undefined, options: ParkOptions) =>
        await print(await remove(await adminOf(options), domain, node, options)),
    );
  subcommand(park, 'watch', '<domain> [node]', 'A line for each change, until ^C; what is there comes first.').action(
    async (domain: string, node: string | undefined, options: ParkOptions) => {
      const admin = await adminOf(options);
      await admin.watch(pathOf(domain, node), (kind, data) => void print(changeText(kind, data, options)));
    },
  );
}

function subcommand(park: Command, name: string, parameters: string, description: string): Command {
  return park
    .command(`${name} ${parameters}`)
    .description(description)
    .option('--config <file>', 'of the running cluster (default: cluster.yaml if there is one, else the local cluster)')
    .option('--json', 'as JSON');
}

async function adminOf({ config: file }: ParkOptions): Promise<ParkAdmin> {
  const { config } = await readConfig(file);
  const { ParkAdmin } = await import('./park-admin.ts');
  return new ParkAdmin(config);
}

type Asks = Pick<ParkAdmin, 'ask'>;

/** @returns text with its last line end */
export async function list(admin: Asks, domain: string | undefined, { json }: ParkOptions): Promise<string> {
  if (domain === undefined) {
    const domains = await pages(admin, '/park', 'domains', (last) => (last as { domain: string }).domain);
    if (json === true) return jsonText(domains);
    const rows = (domains as { domain: string; nodes: number; owner: string; deletable: boolean }[]).map((one) => [
      one.domain,
      String(one.nodes),
      one.owner === '' ? '-' : one.owner,
    ]);
    return tableOf(['DOMAIN', 'NODES', 'CREATED BY'], rows);
  }
  const nodes = await nodesOf(admin, domain);
  if (json === true) return jsonText(nodes);
  if (nodes.length === 0)
    throw new PlatformError(
      'PARK_DOMAIN_UNKNOWN',
      `expected a domain ${domain}, there is none: \`trunkline park ls\` lists them`,
    );
  const rows = nodes.map((one) => [
    one.node,
    String(one.modRevision),
    one.ephemeral ? `${one.access}, ephemeral` : one.access,
    one.owner === '' ? '-' : one.owner,
    shortened(JSON.stringify(one.value)),
  ]);
  return tableOf(['NODE', 'REVISION', 'ACCESS', 'CREATED BY', 'VALUE'], rows);
}

export async function get(admin: Asks, domain: string, node: string, { json }: ParkOptions): Promise<string> {
  const { text, headers } = await admin.ask('GET', pathOf(domain, node));
  if (json !== true) return `${text}\n`;
  const revision = Number(String(headers['etag']).replaceAll('"', ''));
  const about = {
    access: headers['x-park-access'],
    ephemeral: headers['x-park-ephemeral'] === 'true',
    owner: headers['x-park-owner'],
  };
  return jsonText({
    domain,
    node,
    revision,
    version: Number(headers['x-park-version']),
    ...about,
    value: JSON.parse(text),
  });
}

export async function put(
  admin: Asks,
  domain: string,
  node: string,
  value: string,
  options: ParkOptions,
): Promise<string> {
  try {
    JSON.parse(value);
  } catch {
    const hint = `expected a value in JSON, got ${value.slice(0, 64)}; a text stands in quotes, inside the shell's: '"${value.slice(0, 32)}"'`;
    throw new PlatformError('USAGE', hint);
  }
  const { access, ttl, ifRevision, force, json } = options;
  const query = queryOf({ access, ttl, force: force === true ? 'true' : undefined });
  const condition = ifRevision === '0' ? { 'if-none-match': '*' } : ifMatch(ifRevision);
  const answer = await admin.ask('PUT', `${pathOf(domain, node)}${query}`, value, condition);
  if (json === true) return answer.text;
  const { version, revision } = JSON.parse(answer.text) as { version: number; revision: number };
  return `${domain}/${node} is version ${version}, at revision ${revision}\n`;
}

export async function remove(
  admin: Asks,
  domain: string,
  node: string | undefined,
  options: ParkOptions,
): Promise<string> {
  const { ifRevision, force, json } = options;
  if (node === undefined && ifRevision !== undefined)
    throw new PlatformError('USAGE', 'expected a node with --if-revision');
  const query = queryOf({ force: force === true ? 'true' : undefined });
  const answer: ParkAnswer = await admin.ask(
    'DELETE',
    `${pathOf(domain, node)}${query}`,
    undefined,
    ifMatch(ifRevision),
  );
  return json === true ? answer.text : `${node === undefined ? `domain ${domain}` : `${domain}/${node}`} is deleted\n`;
}

export function changeText(kind: string, data: unknown, { json }: ParkOptions): string {
  if (json === true) return `${JSON.stringify({ kind, ...(data as object) })}\n`;
  const { revision, domain, node, value, nodes } = data as WireNode & { revision: number; nodes: WireNode[] };
  if (kind === 'put') return `${revision}  ${domain}/${node} = ${JSON.stringify(value)}\n`;
  if (kind === 'removed') return `${revision}  ${domain}/${node} is gone\n`;
  if (kind !== 'content') return '';
  const there = nodes.map((one) => `${one.modRevision}  ${one.domain}/${one.node} = ${JSON.stringify(one.value)}\n`);
  return there.length === 0 ? `${revision}  nothing there yet\n` : there.join('');
}

/** Empty when there is no such domain. */
export async function nodesOf(admin: Asks, domain: string): Promise<WireNode[]> {
  return (await pages(admin, pathOf(domain), 'nodes', (last) => (last as WireNode).node)) as WireNode[];
}

async function pages(
  admin: Asks,
  path: string,
  field: 'domains' | 'nodes',
  nameOf: (last: unknown) => string,
): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let after = ''; ; ) {
    const { text } = await admin.ask('GET', `${path}${queryOf({ after: after === '' ? undefined : after })}`);
    const page = JSON.parse(text) as { next: string } & Record<string, unknown[]>;
    const items = page[field] ?? [];
    found.push(...items);
    if (page.next === '' || items.length === 0) return found;
    after = nameOf(items.at(-1));
  }
}

function pathOf(domain: string, node?: string): string {
  return `/park/${encodeURIComponent(domain)}${node === undefined ? '' : `/${encodeURIComponent(node)}`}`;
}

function queryOf(fields: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

function ifMatch(revision: string | undefined): Readonly<Record<string, string>> {
  if (revision === undefined) return {};
  if (/^\d{1,15}$/.test(revision)) return { 'if-match': `"${revision}"` };
  throw new PlatformError('USAGE', `--if-revision: expected a revision, as \`park ls\` shows it, came "${revision}"`);
}

export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(column === head.length - 1 ? 0 : (widths[column] ?? 0))).join('  ');
  return `${[head, ...rows].map(line).join('\n')}\n`;
}

function shortened(text: string): string {
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX - 1)}…`;
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function print(text: string): Promise<void> {
  process.stdout.write(text);
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8').trim();
}
