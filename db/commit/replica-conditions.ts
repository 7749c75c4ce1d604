/** What the writing side knows about each replica: may it serve reads, can it be written, and why not. */
import { type PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { EngineEvents } from '../engine.ts';
import type { Replica, ReplicaCondition } from '../replica.ts';

const DIVERGED = 'REPLICAS_DIVERGED: ';

export class ReplicaConditions {
  readonly #replicas: readonly Replica[];
  readonly #events: EngineEvents;
  readonly #list: ReplicaCondition[];
  #reported = '';

  constructor(replicas: readonly Replica[], events: EngineEvents) {
    this.#replicas = replicas;
    this.#events = events;
    this.#list = replicas.map(() => ({ inStep: false, writable: false, reason: 'not open yet', logSeq: 0 }));
  }

  get allGood(): boolean {
    return this.#list.every(({ inStep, writable }) => inStep && writable);
  }

  logSeq(index: number): number {
    return this.#list[index]?.logSeq ?? 0;
  }

  isInStep(index: number): boolean {
    return this.#list[index]?.inStep ?? false;
  }

  noteLogSeq(index: number, logSeq: number): void {
    this.#set(index, { logSeq });
  }

  noteCommitted(logSeq: number): void {
    for (const index of this.#list.keys()) this.#set(index, { logSeq });
  }

  /** @param copied log entries it had to be given */
  noteInStep(index: number, copied: number): void {
    if (copied > 0) {
      const replica = this.#replicas[index]?.replicaId;
      this.#events.onLog('warn', 'replica levelled from the leader', { replica, entries: copied });
    }
    if (!this.#isOut(index)) this.#set(index, { inStep: true, writable: true, reason: '' });
  }

  /** A lock that did not come is no failure of the replica. */
  noteFailure(index: number, thrown: unknown): PlatformError {
    const error = toPlatformError(thrown, 'STORE_UNAVAILABLE');
    if (error.code === 'REPLICAS_DIVERGED') this.takeOut(index, error);
    else if (error.code !== 'STORE_BUSY' && !this.#isOut(index))
      this.#set(index, { writable: false, reason: error.detail });
    return error;
  }

  /** It has or did something else than the leader: nobody reads it again before a restart has looked at it. */
  takeOut(index: number, error: PlatformError): void {
    const reason = DIVERGED + error.detail;
    if (this.#list[index]?.reason === reason) return;
    this.#set(index, { inStep: false, reason });
    const replica = this.#replicas[index]?.replicaId;
    this.#events.onLog('error', 'replica taken out of service: it differs from the leader', { replica, reason });
  }

  /** Tells the store, when anything but a log position has changed. */
  report(): void {
    const key = JSON.stringify(this.#list.map(({ inStep, writable, reason }) => [inStep, writable, reason]));
    if (key === this.#reported) return;
    this.#reported = key;
    this.reportAll();
  }

  reportAll(): void {
    this.#events.onConditions([...this.#list]);
  }

  #isOut(index: number): boolean {
    return this.#list[index]?.reason.startsWith(DIVERGED) ?? false;
  }

  #set(index: number, change: Partial<ReplicaCondition>): void {
    const condition = this.#list[index];
    if (condition !== undefined) this.#list[index] = { ...condition, ...change };
  }
}
