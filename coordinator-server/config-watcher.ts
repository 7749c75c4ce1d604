/**
 * Sees every change of the config file, however it is made: written in place, replaced by a rename, or swapped as a
 * whole folder of symbolic links (Kubernetes ConfigMap).
 *
 * W1: the folder is watched, not the file: a watch on a file follows the old inode when the file is replaced.
 * W2: what counts is what the file says, not the event: an event without a change says nothing, and a change without
 *     an event is seen by the slow poll, which reads the file only when its inode, size or times are others.
 * W3: one reading at a time; an event in the middle of one leads to another.
 */
import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, systemClock, type TimerHandle } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { type ConfigProblem, readClusterConfigFile } from '../shared/config/load-cluster-config.ts';
import { type Logger, silentLogger } from '../shared/log.ts';

/** An editor's save is several events; this is long enough for them to be one, and short against the 1 s allowed. */
export const SETTLE_MS = 100;
/** Safety net for what no event tells (network file systems, a replaced folder). */
export const POLL_EVERY_MS = 5_000;

export interface ConfigWatcherOptions {
  readonly file: string;
  /** @param text of the file */
  readonly onConfig: (config: ClusterConfig, text: string) => void;
  /** The file cannot be read, or is no valid config; said once per content. */
  readonly onProblems: (problems: readonly ConfigProblem[]) => void;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly pollEveryMs?: number;
}

export class ConfigWatcher {
  readonly #options: ConfigWatcherOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  #watcher: FSWatcher | undefined;
  #poll: TimerHandle | undefined;
  #settling: TimerHandle | undefined;
  #reading = false;
  #readAgain = false;
  #lastSeen = '';
  #lastMark = '';
  #closed = false;

  constructor(options: ConfigWatcherOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
  }

  /** Reads the file once, now, and from then on after every change. */
  start(): void {
    this.#watchFolder();
    this.#poll = this.#clock.every(this.#options.pollEveryMs ?? POLL_EVERY_MS, () => void this.#onPoll());
    this.#read();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#poll?.cancel();
    this.#settling?.cancel();
  }

  async #onPoll(): Promise<void> {
    if (this.#watcher === undefined) this.#watchFolder();
    if ((await fileMark(this.#options.file)) !== this.#lastMark) this.#read(); // W2
  }

  /** W1. A folder that cannot be watched is polled, and watched as soon as it can be. */
  #watchFolder(): void {
    const folder = dirname(this.#options.file);
    try {
      const watcher = watch(folder, { persistent: false });
      watcher.on('change', () => this.#onEvent());
      watcher.on('error', (err) => this.#dropWatch(watcher, err));
      this.#watcher = watcher;
    } catch (err) {
      this.#log.warn({ err, folder }, 'config folder cannot be watched; it is polled instead');
    }
  }

  #dropWatch(watcher: FSWatcher, err: unknown): void {
    this.#log.warn(
      { err, folder: dirname(this.#options.file) },
      'watch on the config folder ended; it is polled instead',
    );
    watcher.close();
    if (this.#watcher === watcher) this.#watcher = undefined;
  }

  #onEvent(): void {
    if (this.#settling !== undefined || this.#closed) return;
    this.#settling = this.#clock.after(SETTLE_MS, () => {
      this.#settling = undefined;
      this.#read();
    });
  }

  #read(): void {
    if (this.#closed) return;
    if (this.#reading) {
      this.#readAgain = true; // W3
      return;
    }
    this.#reading = true;
    void this.#readOnce().finally(() => {
      this.#reading = false;
      if (!this.#readAgain) return;
      this.#readAgain = false;
      this.#read();
    });
  }

  async #readOnce(): Promise<void> {
    const { file, onConfig, onProblems } = this.#options;
    const mark = await fileMark(file); // before reading: what is written meanwhile is read at the next poll at the latest
    const result = await readClusterConfigFile(file);
    const seen = createHash('sha256').update(JSON.stringify(result)).digest('hex');
    this.#lastMark = mark;
    if (this.#closed || seen === this.#lastSeen) return; // W2
    this.#lastSeen = seen;
    try {
      if (result.ok) onConfig(result.config, result.text);
      else onProblems(result.problems);
    } catch (err) {
      this.#log.error({ err, file }, 'config could not be taken up');
    }
  }
}

/** Differs after every change of the file, or of where a symbolic link leads. */
async function fileMark(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (thrown) {
    return (thrown as Error).message;
  }
}
