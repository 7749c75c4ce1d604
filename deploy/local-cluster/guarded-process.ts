/**
 * A program of somebody else's (a database, a proxy) that does not outlive this process.
 *
 * B1: a program that was started is stopped, also when this process ends without saying so.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '../../shared/clock.ts';

/**
 * B1. Runs the program, tells its pid, and kills it when the other end of descriptor 3 closes: when we are gone. Ends with
 * the program's exit code.
 */
const GUARD = `"$@" 3<&- & server=$!
echo $server
(read -r nothing <&3; kill -9 $server) & guard=$!
wait $server; status=$?
kill $guard
exit $status`;

const LAST_WORDS_CHARS_MAX = 4_000;
const STOP_TIMEOUT_MS = 10_000;

export class GuardedProcess {
  pid = 0;
  /** End of what it wrote to its standard error. */
  lastWords = '';
  /** Resolves with its exit code when it has ended; null when it was never started, or the guard was killed. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.once('exit', resolve);
      child.once('error', () => resolve(null));
    });
  }

  static async start(program: string, args: readonly string[]): Promise<GuardedProcess> {
    const child = spawn('/bin/sh', ['-c', GUARD, 'sh', program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true, // a Ctrl-C at the terminal is for us: we stop it in its turn
    });
    const started = new GuardedProcess(child);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      started.lastWords = (started.lastWords + text).slice(-LAST_WORDS_CHARS_MAX);
    });
    const [pid] = await once(child.stdout ?? child, 'data');
    started.pid = Number(String(pid));
    return started;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.hasEnded) process.kill(this.pid, signal);
  }

  /** Resolves when it has ended; a program that does not end in time is killed. */
  async end(signal: 'SIGTERM' | 'SIGKILL', timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
    if (this.hasEnded) return;
    this.signal(signal);
    const timer = systemClock.after(timeoutMs, () => this.signal('SIGKILL'));
    await this.ended;
    timer.cancel();
  }
}
