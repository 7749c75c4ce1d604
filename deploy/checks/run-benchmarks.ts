/** Runs benchmarks: the `.ts` files right in test/bench, each as a program of its own. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';
import { CHECKOUT_FOLDER } from '../cli/checkout.ts';

/** @returns exit code: of the first benchmark that fails, else 0 */
export async function runBenchmarks(names: readonly string[], listOnly: boolean): Promise<number> {
  const folder = path.join(CHECKOUT_FOLDER, 'test/bench');
  const known = benchmarksIn(folder);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new PlatformError(
      'USAGE',
      `Expected names of benchmarks (${known.join(', ') || 'there is none yet'}), got ${unknown.join(', ')}.`,
    );
  }
  if (listOnly) {
    process.stdout.write(known.map((name) => `${name}\n`).join(''));
    return 0;
  }
  requireProgram('wrk', 'it makes the load; on Debian: apt-get install wrk, on macOS: brew install wrk');
  for (const name of names.length === 0 ? known : names) {
    process.stdout.write(`\n== ${name}\n`);
    const exitCode = await runFile(path.join(folder, `${name}.ts`));
    if (exitCode !== 0) return exitCode;
  }
  return 0;
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

function requireProgram(name: string, why: string): void {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  if (folders.some((folder) => fs.existsSync(path.join(folder, name)))) return;
  throw new PlatformError('NOT_READY', `The program ${name} is missing: ${why}.`);
}

function runFile(file: string): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, file], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve(exitCode ?? 1));
  });
}
