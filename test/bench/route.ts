/**
 * How fast a small request crosses the four tiers, beside a bare server in the same run: in turn A B A B …, medians.
 *
 * 1 interface server, 1 dispatcher, 2 app servers, the echo service, keep-alive wrk. The load generator shares the
 * machine with the servers, so read the ratios and the CPU per request, not the absolute figures.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bareServer, type Contestant, fourTiers } from './support/contestant.ts';
import { median } from './support/median.ts';
import { cpuMicros } from './support/process-cpu.ts';
import { runWrk } from './support/wrk.ts';

const ROUNDS = 5;
const SECONDS = 4;
const CONNECTIONS = [1, 64, 256];

interface Sample {
  readonly requestsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly cpuMicrosPerRequest: number;
  readonly failures: number;
}

interface Row extends Sample {
  readonly contestant: string;
  readonly connections: number;
}

async function measure(contestant: Contestant, connections: number): Promise<Sample> {
  const cpuBefore = cpuMicros(contestant.pids);
  const { requests, ...figures } = await runWrk({ url: contestant.url, connections, seconds: SECONDS });
  return { ...figures, cpuMicrosPerRequest: (cpuMicros(contestant.pids) - cpuBefore) / requests };
}

function medianRow(contestant: string, connections: number, samples: readonly Sample[]): Row {
  const of = (figure: keyof Sample): number => median(samples.map((sample) => sample[figure]));
  return {
    contestant,
    connections,
    requestsPerSecond: Math.round(of('requestsPerSecond')),
    p50Micros: Math.round(of('p50Micros')),
    p99Micros: Math.round(of('p99Micros')),
    cpuMicrosPerRequest: Math.round(of('cpuMicrosPerRequest') * 10) / 10,
    failures: samples.reduce((sum, { failures }) => sum + failures, 0),
  };
}

function print(rows: readonly Row[]): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  const head = ['', 'connections', 'requests/s', 'p50 µs', 'p99 µs', 'CPU µs/request', 'failures'];
  process.stdout.write(line(head) + line(head.map(() => '---')));
  for (const row of rows) process.stdout.write(line(Object.values(row).map(String)));
}

const contestants = [await fourTiers(), await bareServer()];
const rows: Row[] = [];
try {
  for (const contestant of contestants) await measure(contestant, 64); // warm-up
  for (const connections of CONNECTIONS) {
    const samples = contestants.map((): Sample[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, contestant] of contestants.entries())
        samples[index]?.push(await measure(contestant, connections));
    }
    for (const [index, { name }] of contestants.entries())
      rows.push(medianRow(name, connections, samples[index] ?? []));
  }
} finally {
  for (const contestant of contestants) await contestant.close();
}
print(rows);
const folder = path.resolve(import.meta.dirname, 'results');
fs.mkdirSync(folder, { recursive: true });
const measuredAt = new Date().toISOString();
const machine = { cpus: os.cpus().length, model: os.cpus()[0]?.model, node: process.version };
const file = path.join(folder, `route-${measuredAt.slice(0, 10)}.json`);
fs.writeFileSync(file, `${JSON.stringify({ measuredAt, machine, rounds: ROUNDS, seconds: SECONDS, rows }, null, 2)}\n`);
process.stdout.write(`\nwritten to ${path.relative(process.cwd(), file)}\n`);
