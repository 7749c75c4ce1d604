/** Starts store-child.ts and listens to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import type { ChildOrders } from './store-child.ts';

const PROGRAM = fileURLToPath(new URL('./store-child.ts', import.meta.url));

export class StoreProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = '';

  constructor(orders: ChildOrders) {
    this.#child = spawn(process.execPath, ['--no-warnings', PROGRAM, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    this.#ended = once(this.#child, 'close');
  }

  /** Request ids of the deposits it has acknowledged. */
  get acknowledged(): string[] {
    return this.#output.split('\n').slice(1, -1);
  }

  async untilAcknowledged(count: number): Promise<void> {
    await eventually(`${count} deposits acknowledged`, () => this.acknowledged.length >= count, 20_000);
  }

  /** @returns the signal that ended it, or its exit code */
  async ended(): Promise<string> {
    await this.#ended;
    return this.#child.signalCode ?? String(this.#child.exitCode);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
