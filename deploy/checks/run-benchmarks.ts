/** Runs benchmarks: the `.ts` files right in test/bench, each as a program of its own. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';
import { CHECKOUT_FOLDER } from '../cli/checkout.ts';
import { type BenchOptions, benchArguments } from './bench-options.ts';
import { findProgram, missingPeerLines } from './peer-programs.ts';

/** @returns exit code: of the first benchmark that fails, else 0 */
export async function runBenchmarks(names: readonly string[], options: BenchOptions): Promise<number> {
  const folder = path.join(CHECKOUT_FOLDER, 'test/bench');
  const known = benchmarksIn(folder);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new PlatformError('USAGE', `Expected names of benchmarks (${known.join(', ')}), got ${unknown.join(', ')}.`);
  }
  const missing = missingPeerLines((program) => findProgram(program) !== undefined);
  process.stdout.write(missing.map((line) => `${line}\n`).join(''));
  if (findProgram('wrk') === undefined) {
    throw new PlatformError('NOT_READY', 'The program wrk is missing: it makes the load.');
  }
  for (const name of names.length === 0 ? known : names) {
    process.stdout.write(`\n== ${name}\n`);
    const exitCode = await runFile(path.join(folder, `${name}.ts`), benchArguments(options));
    if (exitCode !== 0) return exitCode;
  }
  return 0;
}

export function listBenchmarks(): string[] {
  return benchmarksIn(path.join(CHECKOUT_FOLDER, 'test/bench'));
}

/** @returns names without `.ts` */
export function benchmarksIn(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => entry.name.slice(0, -'.ts'.length))
    .sort();
}

function runFile(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, file, ...args], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve(exitCode ?? 1));
  });
}
