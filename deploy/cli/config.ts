/** `trunkline config …`: says whether a cluster's config is right, what every key of one means, and which were published. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { clusterJsonSchemaText } from '../../shared/config/cluster-json-schema.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { defaultConfigFile } from '../../shared/config/default-config-file.ts';
import { formatConfigProblems, readClusterConfigFile } from '../../shared/config/load-cluster-config.ts';
import { CHECKOUT_FOLDER } from './checkout.ts';
import { registerConfigHistory, registerConfigRollback } from './config-history.ts';

export interface CheckReport {
  readonly ok: boolean;
  /** With its last newline; for standard output when `ok` or in JSON, else for standard error. */
  readonly text: string;
}

export function registerConfigCommand(program: Command): void {
  const config = program
    .command('config')
    .description('Checks a cluster config, prints what may stand in one, shows those published, puts one back.')
    .addHelpText(
      'after',
      '\nExamples:\n  ./trunkline config check my-cluster.yaml\n  ./trunkline config history\n  ./trunkline config rollback',
    );
  config
    .command('check')
    .argument('[file]', 'the config to check (default: cluster.yaml if there is one, else the local cluster)')
    .option('--json', 'print the result, and every problem, as JSON')
    .description(
      'Says whether a config can be run; if not, every problem as file:line:column: what was expected, what came.',
    )
    .action(async (file: string | undefined, options: { json?: true }) => {
      const report = await checkConfig(file ?? shortest(defaultConfigFile(CHECKOUT_FOLDER)), options.json === true);
      const stream = report.ok || options.json === true ? process.stdout : process.stderr;
      stream.write(report.text);
      if (!report.ok) process.exitCode = 1;
    });
  config
    .command('schema')
    .description('Prints the JSON Schema of a config, for editors; deploy/clusters/cluster.schema.json is this.')
    .action(() => {
      process.stdout.write(clusterJsonSchemaText());
    });
  registerConfigHistory(config);
  registerConfigRollback(config);
}

export async function checkConfig(file: string, asJson: boolean): Promise<CheckReport> {
  const result = await readClusterConfigFile(file);
  if (asJson) {
    const value = result.ok ? { ok: true, file, cluster: result.config.cluster } : result;
    return { ok: result.ok, text: `${JSON.stringify(value)}\n` };
  }
  const text = result.ok ? `${file}: ok: ${summaryOf(result.config)}` : formatConfigProblems(result.problems);
  return { ok: result.ok, text: `${text}\n` };
}

/** e.g. `cluster local: 1 coordinator, 2 interface servers, 2 dispatchers, 2 groups …`. */
export function summaryOf(config: ClusterConfig): string {
  const replicas = config.groups.flatMap((group) => group.replicas);
  const kinds = [...new Set(replicas.map((replica) => replica.kind))].join(' and ');
  const parts = [
    counted(config.coordinator.servers.length, 'coordinator'),
    counted(config.interface.servers.length, 'interface server'),
    counted(config.dispatcher.servers.length, 'dispatcher'),
    counted(config.groups.length, 'group'),
    counted(config.groups.flatMap((group) => group.appServers).length, 'app server'),
    counted(replicas.length, `${kinds} replica`),
    counted(config.services.length, 'service'),
  ];
  return `cluster ${config.cluster}: ${parts.join(', ')}; ${counted(config.hash.buckets, 'bucket')} by ${config.hash.kind}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** The name to call a file by: from where the caller is, unless that is no shorter. */
function shortest(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') || !existsSync(relative) ? file : relative;
}
