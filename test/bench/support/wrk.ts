/** Runs wrk and reads what it prints. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import type { LoadRequest } from './load-requests.ts';

export interface WrkFigures {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Answers other than 2xx and 3xx, and socket errors. */
  readonly failures: number;
}

export interface WrkOptions {
  /** e.g. `http://127.0.0.1:8080` */
  readonly url: string;
  /** Sent in turn, over and over. */
  readonly requests: readonly LoadRequest[];
  readonly connections: number;
  readonly seconds: number;
}

const SCRIPT = path.join(import.meta.dirname, 'requests.lua');

/** One thread of wrk: on two cores it would only take more from the servers. */
export async function runWrk(options: WrkOptions): Promise<WrkFigures> {
  const args = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--latency', '-s', SCRIPT, options.url];
  const child = spawn('wrk', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => undefined); // It ended before it read them: its exit code tells.
  child.stdin.end(options.requests.map(({ method, target, body }) => `${method}\t${target}\t${body}\n`).join(''));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (exitCode !== 0) throw new Error(`wrk ended with ${exitCode}: ${text}`);
  return readWrk(text);
}

export function readWrk(text: string): WrkFigures {
  return {
    requests: numberIn(text, /(\d+) requests in/),
    requestsPerSecond: numberIn(text, /Requests\/sec:\s+([\d.]+)/),
    p50Micros: microsIn(text, /50%\s+([\d.]+)(us|ms|s|m)\b/),
    p99Micros: microsIn(text, /99%\s+([\d.]+)(us|ms|s|m)\b/),
    failures:
      numberIn(text, /Non-2xx or 3xx responses: (\d+)/, 0) +
      ['connect', 'read', 'write', 'timeout'].reduce(
        (sum, kind) => sum + numberIn(text, new RegExp(`${kind} (\\d+)`), 0),
        0,
      ),
  };
}

function numberIn(text: string, pattern: RegExp, otherwise?: number): number {
  const found = pattern.exec(text)?.[1];
  if (found !== undefined) return Number(found);
  if (otherwise !== undefined) return otherwise;
  throw new Error(`wrk printed no ${pattern}: ${text}`);
}

const MICROS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000, m: 60_000_000 };

function microsIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text);
  if (found === null) throw new Error(`wrk printed no ${pattern}: ${text}`);
  return Number(found[1]) * (MICROS[found[2] as string] as number);
}
