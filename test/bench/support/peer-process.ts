/** A peer's server as a plain child process: no service of the system, and it does not outlive this process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../../support/eventually.ts';
import { processTree } from './process-figures.ts';

const START_MS_MAX = 10_000;
const LOOK_EVERY_MS = 20;

export class PeerProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param url answers, whatever it says, once the program is up */
  static async start(program: string, args: readonly string[], url: string): Promise<PeerProcess> {
    // The kernel ends it when we are killed (Linux, /usr/bin/setpriv of util-linux).
    const guarded = ['--pdeathsig', 'TERM', program, ...args];
    const child = spawn('setpriv', guarded, { stdio: ['ignore', 'inherit', 'inherit'] });
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
    });
    const peer = new PeerProcess(child);
    const answers = async (): Promise<boolean> => {
      if (failure !== undefined) throw failure;
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode} while starting`);
      const response = await fetch(url).catch(() => undefined);
      await response?.arrayBuffer();
      return response !== undefined;
    };
    try {
      await eventually(`${program} answers at ${url}`, answers, START_MS_MAX, LOOK_EVERY_MS);
      return peer;
    } catch (error) {
      await peer.close();
      throw error;
    }
  }

  pids(): number[] {
    return processTree(this.#child.pid as number);
  }

  async close(): Promise<void> {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill();
    await gone;
  }
}
