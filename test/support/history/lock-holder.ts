/** Starts lock-holder-child.ts, listens to it, and stops it where no transaction is open. */
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { eventually } from '../eventually.ts';
import type { HolderOrders } from './lock-holder-child.ts';

const PROGRAM = fileURLToPath(new URL('./lock-holder-child.ts', import.meta.url));
const WITHIN_MS = 30_000;

export class LockHolder {
  readonly name: string;
  readonly #child: ChildProcess;
  #output = '';

  constructor(orders: HolderOrders) {
    this.name = orders.name;
    this.#child = spawn(process.execPath, ['--no-warnings', PROGRAM, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
  }

  /** Words of the lines of one kind: `holds`, `wrote`, `refused`, `failed`. */
  said(kind: string): string[][] {
    const lines = this.#output.split('\n').slice(0, -1);
    return lines.map((line) => line.split(' ')).filter(([first]) => first === kind);
  }

  /** @returns the newest line of that kind, once there are more than `seen` */
  async untilSaid(kind: string, seen: number): Promise<string[]> {
    const enough = (): string[] | undefined => (this.said(kind).length > seen ? this.said(kind).at(-1) : undefined);
    return await eventually(`${this.name} to say ${kind} (it said ${this.#output.slice(-300)})`, enough, WITHIN_MS);
  }

  /** SIGSTOP right after a write, in its pause before the next one. */
  async stopBetweenWrites(): Promise<void> {
    await this.untilSaid('wrote', this.said('wrote').length);
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
