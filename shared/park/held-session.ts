/** A session as its holder sees it: until when it surely lives, and who is to hear that it is lost. */
import { toPlatformError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ParkSession } from './park.ts';

export class HeldSession implements ParkSession {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  aliveUntilMs: number;
  readonly #log: Logger;
  #listeners: (() => void)[] | undefined = [];

  constructor(fields: { id: string; name: string; ttlMs: number; aliveUntilMs: number; log: Logger }) {
    this.id = fields.id;
    this.name = fields.name;
    this.ttlMs = fields.ttlMs;
    this.aliveUntilMs = fields.aliveUntilMs;
    this.#log = fields.log;
  }

  onLost(listener: () => void): void {
    if (this.#listeners === undefined) this.#call(listener);
    else this.#listeners.push(listener);
  }

  /** Tells its listeners, once, in the order they came. */
  lose(): void {
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    this.aliveUntilMs = Number.NEGATIVE_INFINITY;
    for (const listener of listeners) this.#call(listener);
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      this.#log.error({ err: toPlatformError(thrown) }, 'who was to hear of a lost session has thrown');
    }
  }
}
