/** Checks that only read the source: Biome (format, lint, walls between folders) and the compiler's types. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { systemClock } from '../../shared/clock.ts';
import { CHECKOUT_FOLDER } from '../cli/checkout.ts';

export interface StaticCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** What the tool printed. */
  readonly output: string;
}

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Both at once: neither uses a whole core for long. */
export function runStaticChecks(folder: string = CHECKOUT_FOLDER): Promise<StaticCheck[]> {
  return Promise.all([
    runTool(folder, 'format and lint', '@biomejs/biome/bin/biome', ['check', '--error-on-warnings']),
    runTool(folder, 'types', 'typescript/bin/tsc', ['--noEmit']),
  ]);
}

function runTool(folder: string, name: string, script: string, args: readonly string[]): Promise<StaticCheck> {
  const startedAtMs = systemClock.nowMs();
  const file = path.join(CHECKOUT_FOLDER, 'node_modules', script);
  const env = { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [file, ...args],
      { cwd: folder, env, maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        const seconds = (systemClock.nowMs() - startedAtMs) / 1000;
        resolve({ name, ok: error === null, seconds, output: `${stdout}${stderr}`.trim() });
      },
    );
  });
}
