/**
 * Main thread's end of one SQLite worker thread.
 *
 * M1: calls of one tick travel in one message, in the order they were made.
 * M2: a worker that dies fails every call under way (STORE_UNAVAILABLE) and is started anew by the next call.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import type { EngineEvents, StoreHooks } from './engine.ts';
import type { SqliteWorkerData, WorkerCall, WorkerFailure, WorkerMessage } from './sqlite-worker-messages.ts';

const WORKER_URL = new URL('./sqlite-worker.ts', import.meta.url);

/** A worker holds cached statements, one batch, or the rows of the reads of one tick. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 8, stackSizeMb: 1 };

/** Whether a failed call also cost its batch. */
export function lostItsBatch(thrown: unknown): boolean {
  return thrown instanceof PlatformError && (thrown.cause as WorkerFailure | undefined)?.lost === true;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: PlatformError): void;
}

export interface SqliteWorkerClientOptions {
  readonly data: SqliteWorkerData;
  readonly clock: Clock;
  readonly events: EngineEvents;
  readonly hooks: StoreHooks;
  /** Called first on a thread that replaces one that died. */
  readonly restartCall?: string;
}

export class SqliteWorkerClient {
  readonly #options: SqliteWorkerClientOptions;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #outbox: WorkerCall[] = [];
  #lastId = 0;
  #startedBefore = false;
  #closed = false;

  constructor(options: SqliteWorkerClientOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  call(operation: string, ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#lastId = (this.#lastId % Number.MAX_SAFE_INTEGER) + 1;
      this.#pending.set(this.#lastId, { resolve, reject });
      this.#post([this.#lastId, operation, args]);
      // The process must not end under a call, nor live on for an idle thread.
      if (this.#pending.size === 1) this.#worker?.ref();
    });
  }

  /** Without a reply: a failure shows in the next call that has one. */
  cast(operation: string, ...args: unknown[]): void {
    this.#post([0, operation, args]);
  }

  async close(): Promise<void> {
    if (this.#worker !== undefined) await this.call('close').catch(() => undefined);
    this.#closed = true;
    await this.#worker?.terminate();
  }

  /** M1 */
  #post(call: WorkerCall): void {
    this.#outbox.push(call);
    if (this.#outbox.length === 1) this.#options.clock.atEndOfTick(() => this.#flush());
  }

  #flush(): void {
    const calls = this.#outbox;
    this.#outbox = [];
    if (this.#closed) this.#failAll('the store is closed');
    else this.#running().postMessage(calls);
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const workerData = this.#options.data;
    const worker = new Worker(WORKER_URL, { workerData, resourceLimits: RESOURCE_LIMITS });
    worker.on('message', (message: WorkerMessage) => this.#receive(message));
    worker.on('error', (error) => this.#died(worker, error.message));
    worker.on('exit', (code) => this.#died(worker, `exit code ${code}`));
    const { restartCall } = this.#options;
    if (this.#startedBefore && restartCall !== undefined)
      worker.postMessage([[0, restartCall, []]] satisfies WorkerCall[]);
    this.#startedBefore = true;
    this.#worker = worker;
    return worker;
  }

  #receive(message: WorkerMessage): void {
    const { events, hooks, data } = this.#options;
    switch (message.kind) {
      case 'replies':
        for (const [id, failure, result] of message.replies) {
          const pending = this.#pending.get(id);
          this.#pending.delete(id);
          if (failure === null) pending?.resolve(result);
          else pending?.reject(callFailed(failure));
        }
        if (this.#pending.size === 0) this.#worker?.unref();
        break;
      case 'conditions':
        events.onConditions(message.conditions);
        break;
      case 'log':
        events.onLog(message.level, message.message, message.fields);
        break;
      case 'step':
        hooks[message.step]?.();
        Atomics.add(data.stepCell, 0, 1);
        Atomics.notify(data.stepCell, 0);
        break;
    }
  }

  /** M2 */
  #died(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    if (this.#closed) return;
    this.#options.events.onLog('error', 'SQLite worker thread died', { role: this.#options.data.role, reason });
    this.#failAll(`the SQLite ${this.#options.data.role} thread died: ${reason}`);
  }

  #failAll(detail: string): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) {
      reject(callFailed({ code: 'STORE_UNAVAILABLE', detail, lost: true }));
    }
    this.#worker?.unref();
  }
}

function callFailed(failure: WorkerFailure): PlatformError {
  return new PlatformError(failure.code, failure.detail, { cause: failure });
}
