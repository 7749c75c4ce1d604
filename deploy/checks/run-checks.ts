/** Every check there is, in the order of what they cost; the first that fails ends the run and is named last. */
import { systemClock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import { CHECKOUT_FOLDER } from '../cli/checkout.ts';
import { runTests, type TestRun } from './run-tests.ts';
import { runStaticChecks } from './static-checks.ts';
import { findTestFiles, matchingFiles, soakFiles } from './test-files.ts';
import { ensureTestPrograms } from './test-programs.ts';

export interface CheckOptions {
  /** Parts of test files' paths. None: everything, with the checks of the source first. */
  readonly patterns: readonly string[];
  /** A test that is skipped counts as failed: nothing may go unchecked. */
  readonly skipFails: boolean;
  /** Instead of everything: the tests that have a full length, at that length. Default false. */
  readonly soak?: boolean;
}

/** @returns exit code */
export async function runChecks(options: CheckOptions): Promise<number> {
  const startedAtMs = systemClock.nowMs();
  const { soak = false } = options;
  const files = filesToRun(options);
  if (options.patterns.length === 0 && !soak && !(await sourceIsClean())) return 1;
  await ensureTestPrograms(print);
  const { totals, skipped } = await runTests(CHECKOUT_FOLDER, files, { soak });
  const seconds = Math.round((systemClock.nowMs() - startedAtMs) / 1000);
  const verdict = verdictOn({ totals, skipped }, options.skipFails);
  print(verdict === '' ? `\nAll checks passed: ${totals.pass} tests, ${seconds} s.` : `\nFAILED: ${verdict}`);
  return verdict === '' ? 0 : 1;
}

function filesToRun({ patterns, soak = false }: CheckOptions): string[] {
  const every = findTestFiles(CHECKOUT_FOLDER);
  const files = matchingFiles(soak ? soakFiles(CHECKOUT_FOLDER, every) : every, patterns);
  if (files.length > 0) return files;
  const kind = soak ? 'a test file that has a full length (./trunkline check --help says which)' : 'a test file';
  throw new PlatformError('USAGE', `Expected a part of the path of ${kind}, got ${patterns.join(' ')}: none has it.`);
}

async function sourceIsClean(): Promise<boolean> {
  for (const check of await runStaticChecks()) {
    print(`${check.ok ? '✔' : '✖'} ${check.name} (${check.seconds.toFixed(1)} s)`);
    if (check.ok) continue;
    print(`${check.output}\n\nFAILED: ${check.name}`);
    return false;
  }
  return true;
}

/** @returns '' when all is well */
export function verdictOn({ totals, skipped }: TestRun, skipFails: boolean): string {
  const failed = totals.fail + totals.cancelled;
  if (failed > 0) return `${failed} of ${totals.tests} tests; they are listed above`;
  if (totals.pass === 0) return 'no test ran';
  if (skipFails && totals.skipped > 0)
    return `${totals.skipped} tests were skipped, and here none may be:\n  ${skipped.join('\n  ')}`;
  return '';
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
