/**
 * A run of one part: contestants in turn, their figures as medians, goals with verdicts, printed and written down.
 *
 * R1: what was started is stopped, the last first, also when the part fails or is told to end.
 * R2: a run of few rounds is a look: it prints, and writes nothing.
 */
import os from 'node:os';
import path from 'node:path';
import { type BenchOptions, ROUNDS_WRITTEN_MIN, readBenchOptions } from '../../../deploy/checks/bench-options.ts';
import { findProgram, PEER_PROGRAMS, type PeerProgram, versionOf } from '../../../deploy/checks/peer-programs.ts';
import { updateDocuments } from './documents.ts';
import { FIGURES, figureNamesOf, figureText, rowOf, type Sample, type Series } from './figures.ts';
import { type Goal, judge } from './goals.ts';
import { type BenchResult, resultMarkdown, writeResult } from './result.ts';

export interface Contestant {
  readonly name: string;
  measure(): Promise<Sample>;
}

interface Closable {
  close(): Promise<void>;
}

export class Bench {
  readonly options: BenchOptions;
  readonly series: Series[] = [];
  readonly notes: string[] = [];
  readonly peers = new Set<PeerProgram>(['wrk']);
  readonly #started: Closable[] = [];
  #closed: Promise<void> = Promise.resolve();

  constructor(options: BenchOptions) {
    this.options = options;
  }

  /** Starts something that lives until the part's end, or until `close`. */
  async start<T extends Closable>(start: () => Promise<T>): Promise<T> {
    const started = await start();
    this.#started.push(started); // R1
    return started;
  }

  /** The same with a peer, whose program may be missing. */
  async startPeer<T extends Closable>(program: PeerProgram, what: string, start: () => Promise<T>): Promise<T[]> {
    if (!this.has(program, what)) return [];
    return [await this.start(start)];
  }

  /** @returns whether a program is here; when it is not, that `what` is skipped is noted */
  has(program: PeerProgram, what: string): boolean {
    if (findProgram(program) === undefined) {
      const { debianPackage } = PEER_PROGRAMS[program];
      this.note(`skipped: ${what}, as ${program} is not installed (apt-get install ${debianPackage})`);
      return false;
    }
    this.peers.add(program);
    return true;
  }

  /** Stops everything that was started so far. Whoever calls it while it is being done waits for that too. */
  close(): Promise<void> {
    this.#closed = this.#closed.then(() => this.#closeAll());
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    for (let one = this.#started.pop(); one !== undefined; one = this.#started.pop()) await one.close(); // R1
  }

  note(line: string): void {
    this.notes.push(line);
    process.stdout.write(`${line}\n`);
  }

  /** Measures every contestant once in each round: A B C A B C … */
  async inTurn(caseName: string, contestants: readonly Contestant[]): Promise<void> {
    const samples = contestants.map((): Sample[] => []);
    for (let round = 0; round < this.options.rounds; round++) {
      for (const [index, contestant] of contestants.entries()) samples[index]?.push(await contestant.measure());
    }
    for (const [index, { name }] of contestants.entries()) this.record(caseName, name, samples[index] ?? []);
  }

  record(caseName: string, contestant: string, samples: readonly Sample[]): void {
    const series = { case: caseName, contestant, samples };
    this.series.push(series);
    const { figures } = rowOf(series);
    const texts = figureNamesOf([figures]).map((name) => `${FIGURES[name].heading} ${figureText(name, figures[name])}`);
    process.stdout.write(`${caseName}: ${contestant}: ${texts.join(', ')}\n`);
  }
}

/** Runs a part with the options of the command line. @param run measures, and returns the goals */
export async function runBench(part: string, run: (bench: Bench) => Promise<readonly Goal[]>): Promise<void> {
  const bench = new Bench(readBenchOptions(process.argv.slice(2)));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void bench.close().finally(() => process.exit(130))); // R1
  }
  let goals: readonly Goal[] = [];
  try {
    goals = await run(bench);
  } finally {
    await bench.close(); // R1
  }
  const result = resultOf(part, bench, goals);
  process.stdout.write(`\n${resultMarkdown(result)}`);
  if (result.rounds < ROUNDS_WRITTEN_MIN) {
    process.stdout.write(`\nfewer than ${ROUNDS_WRITTEN_MIN} rounds: nothing is written\n`); // R2
    return;
  }
  const file = writeResult(result);
  updateDocuments();
  process.stdout.write(`\nwritten to ${path.relative(process.cwd(), file)}, docs/performance.md and README.md\n`);
}

function resultOf(part: string, bench: Bench, goals: readonly Goal[]): BenchResult {
  return {
    part,
    measuredAt: new Date().toISOString(),
    machine: { cpus: os.cpus().length, model: os.cpus()[0]?.model ?? '?', node: process.version },
    peers: Object.fromEntries([...bench.peers].map((program) => [program, versionOf(program)])),
    rounds: bench.options.rounds,
    seconds: bench.options.seconds,
    rows: bench.series.map(rowOf),
    verdicts: goals.map((goal) => judge(goal, bench.series)),
    notes: bench.notes,
  };
}
