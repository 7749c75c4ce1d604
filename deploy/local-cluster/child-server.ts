/** One server as a child process: how it is started, what it says over IPC, how it ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { systemClock } from '../../shared/clock.ts';
import type { ServerMessage } from '../../shared/server-main.ts';

export interface ChildExit {
  /** null: ended by a signal, or never started. */
  readonly exitCode: number | null;
  /** e.g. `SIGKILL`, `exit code 1`. */
  readonly how: string;
  /** What it said of its failed start; '' when nothing. */
  readonly detail: string;
}

export interface ChildServerOptions {
  /** Of Node: the file to run, then what it is told. */
  readonly args: readonly string[];
  /** Open for appending; gets what the process prints. */
  readonly logFd: number;
  readonly onListening: (listen: string, admin: string) => void;
  readonly onExit: (exit: ChildExit) => void;
}

/** Its last words may be read after its end is known; longer than this they are not waited for. */
const LAST_WORDS_MS = 200;

export class ChildServer {
  readonly #process: ChildProcess;
  readonly #options: ChildServerOptions;
  #detail = '';
  #ended = false;

  constructor(options: ChildServerOptions) {
    this.#options = options;
    const nodeArgs = [...process.execArgv, ...options.args]; // warnings off, types taken out beforehand
    const stdio: ('ignore' | 'ipc' | number)[] = ['ignore', options.logFd, options.logFd, 'ipc'];
    this.#process = spawn(process.execPath, nodeArgs, { stdio });
    this.#process.on('message', (message) => this.#onMessage(message as ServerMessage));
    this.#process.on('exit', (exitCode, signal) => this.#onProcessExit(exitCode, signal ?? `exit code ${exitCode}`));
    this.#process.on('error', (error) => {
      if (this.#process.pid === undefined) this.#end(null, `could not be started: ${error.message}`);
    });
  }

  /** undefined once it ended. */
  get pid(): number | undefined {
    return this.#ended || this.#process.exitCode !== null || this.#process.signalCode !== null
      ? undefined
      : this.#process.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  #onMessage(message: ServerMessage): void {
    if (message.type === 'listening') this.#options.onListening(message.listen, message.admin);
    else this.#detail = message.detail;
  }

  #onProcessExit(exitCode: number | null, how: string): void {
    const end = (): void => this.#end(exitCode, how);
    if (this.#process.connected) {
      this.#process.once('disconnect', end);
      systemClock.after(LAST_WORDS_MS, end);
    } else {
      end();
    }
  }

  #end(exitCode: number | null, how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.onExit({ exitCode, how, detail: this.#detail });
  }
}
