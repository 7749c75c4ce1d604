/**
 * Runs test files with Node's own runner, each file in a process of its own, and prints its 'spec' report with one
 * summary for all. Files that start clusters come after the others and share the machine with fewer of their kind.
 */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** A file that takes longer hangs: it is ended and counts as failed. */
const TEST_FILE_MS_MAX = 90_000;

/** The longest tests of a soak load a cluster for ten minutes, or try a million cases several times over. */
const SOAK_FILE_MS_MAX = 40 * 60_000;

/** Clusters of ten processes each: more than two of them on a small machine make each other slow. */
const CLUSTER_FILES_AT_ONCE = 2;

/** Tests in test/fault/timed compare times: those of their own cluster, not of one that shares its machine with another. */
const TIMED_FILES_AT_ONCE = 1;

export interface TestTotals {
  tests: number;
  suites: number;
  pass: number;
  fail: number;
  cancelled: number;
  skipped: number;
  todo: number;
  duration_ms: number;
}

export interface TestRun {
  readonly totals: TestTotals;
  /** e.g. `test/integration/x.test.ts: keeps balances (MariaDB is not installed)` */
  readonly skipped: readonly string[];
}

interface RunnerEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly message?: string;
    readonly nesting?: number;
  };
}

export interface TestRunOptions {
  /** Tests take their full length (test/support/soak.ts). */
  readonly soak?: boolean;
  /** Default: what a file may take in a test run, or in a soak. */
  readonly fileMsMax?: number;
}

/** @param files relative to `root` */
export async function runTests(root: string, files: readonly string[], options: TestRunOptions = {}): Promise<TestRun> {
  const { soak = false, fileMsMax = soak ? SOAK_FILE_MS_MAX : TEST_FILE_MS_MAX } = options;
  process.env['TRUNKLINE_SOAK'] = soak ? '1' : ''; // the runner gives its own environment to the files
  const totals: TestTotals = {
    tests: 0,
    suites: 0,
    pass: 0,
    fail: 0,
    cancelled: 0,
    skipped: 0,
    todo: 0,
    duration_ms: 0,
  };
  const skipped: string[] = [];
  const isIn = (folder: string, file: string): boolean => file.startsWith(`test/${folder}/`);
  process.chdir(root); // the runner starts the files where this process is
  const phases = [
    {
      files: files.filter((file) => !isIn('integration', file) && !isIn('fault', file)),
      concurrency: availableParallelism() + 1,
    },
    { files: files.filter((file) => isIn('integration', file)), concurrency: CLUSTER_FILES_AT_ONCE },
    {
      files: files.filter((file) => isIn('fault', file) && !isIn('fault/timed', file)),
      concurrency: soak ? TIMED_FILES_AT_ONCE : CLUSTER_FILES_AT_ONCE,
    },
    { files: files.filter((file) => isIn('fault/timed', file)), concurrency: TIMED_FILES_AT_ONCE },
  ].filter((phase) => phase.files.length > 0);

  async function* events(): AsyncGenerator<unknown> {
    for (const phase of phases) {
      const paths = phase.files.map((file) => path.join(root, file));
      for await (const event of run({ files: paths, concurrency: phase.concurrency, timeout: fileMsMax })) {
        const { type, data } = event as unknown as RunnerEvent;
        if (data.skip !== undefined && type === 'test:pass') skipped.push(skippedText(root, data));
        if (isOwnSummary(type, data)) addToTotals(totals, type, data);
        else yield event;
      }
    }
    for (const [name, count] of Object.entries(totals)) {
      yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${count}`, level: 'info' } };
    }
    yield { type: 'test:summary', data: { success: totals.fail + totals.cancelled === 0, counts: {}, duration_ms: 0 } };
  }

  const report = Readable.from(events()).compose(new spec()).pipe(new PassThrough());
  report.pipe(process.stdout, { end: false });
  await finished(report);
  return { totals, skipped };
}

/** What one run says of itself as a whole; the sum of all runs is said in its place. */
function isOwnSummary(type: string, data: RunnerEvent['data']): boolean {
  if (data.file !== undefined) return false; // a file's own, which no reporter shows
  return type === 'test:summary' || (type === 'test:diagnostic' && data.nesting === 0);
}

function addToTotals(totals: TestTotals, type: string, data: RunnerEvent['data']): void {
  const [name = '', count = ''] = (data.message ?? '').split(' ');
  if (type === 'test:diagnostic' && name in totals) totals[name as keyof TestTotals] += Number(count);
}

function skippedText(root: string, data: RunnerEvent['data']): string {
  const reason = typeof data.skip === 'string' && data.skip !== '' ? ` (${data.skip})` : '';
  return `${path.relative(root, data.file ?? '')}: ${data.name}${reason}`;
}
