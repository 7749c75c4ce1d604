/**
 * Entry of a SQLite worker thread: node:sqlite is synchronous, so it must not run on the event loop that serves requests.
 * Two of them per process: a writer (the commit protocol over all files) and a reader (one connection a file), so that
 * reads never wait for a lock or an fsync.
 *
 * T1: calls are carried out one after another, in the order they came.
 * T2: a batch is open for BATCH_HOLD_MS_MAX at most: it holds locks that other processes wait for.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock, type TimerHandle } from '../shared/clock.ts';
import { PlatformError, toPlatformError } from '../shared/errors.ts';
import { collectWhenIdle } from '../shared/idle-memory.ts';
import { systemRandom } from '../shared/random.ts';
import { WriteAll } from './commit/write-all.ts';
import type { WriteBatch } from './commit/write-batch.ts';
import type { CommitStep, KeptRequest } from './engine.ts';
import { BATCH_HOLD_MS_MAX } from './limits.ts';
import type { SqlValue } from './replica.ts';
import { SqliteFile } from './sqlite-file.ts';
import { SqliteReplica } from './sqlite-replica.ts';
import type {
  SqliteWorkerData,
  WorkerCall,
  WorkerCommitOutcome,
  WorkerFailure,
  WorkerMessage,
  WorkerReply,
} from './sqlite-worker-messages.ts';

interface Side {
  call(operation: string, args: readonly unknown[]): unknown;
  readonly lost: boolean;
}

if (parentPort === null) throw new PlatformError('INTERNAL', 'sqlite-worker.ts runs as a worker thread only');
const port = parentPort;
const data = workerData as SqliteWorkerData;

function tell(message: WorkerMessage): void {
  port.postMessage(message);
}

/** For tests: stands still until the main thread has run the hook, which may kill the process. */
function step(name: CommitStep): void {
  if (!data.steps.includes(name)) return;
  const seen = Atomics.load(data.stepCell, 0);
  tell({ kind: 'step', step: name });
  Atomics.wait(data.stepCell, 0, seen);
}

class WriterSide implements Side {
  readonly #writeAll = new WriteAll({
    groupId: data.groupId,
    replicas: data.files.map(({ replicaId, path }) => new SqliteReplica(replicaId, path)),
    schema: data.schema,
    clock: systemClock,
    random: systemRandom,
    events: {
      onConditions: (conditions) => tell({ kind: 'conditions', conditions }),
      onLog: (level, message, fields) => tell({ kind: 'log', level, message, fields }),
    },
    step,
  });
  #batch: WriteBatch | undefined;
  #hold: TimerHandle | undefined;

  get lost(): boolean {
    return this.#batch?.lost ?? true;
  }

  call(operation: string, args: readonly unknown[]): unknown {
    switch (operation) {
      case 'open':
        return this.#writeAll.open();
      case 'check':
        // A batch holds the locks, and has looked at everything itself.
        return this.#batch === undefined ? this.#writeAll.check() : undefined;
      case 'begin':
        return this.#begin(args[0] as readonly string[], args[1] as number);
      case 'openRequest':
        return this.#opened().openRequest();
      case 'query':
        return this.#opened().query(args[0] as string, args[1] as readonly SqlValue[]);
      case 'execute':
        return this.#opened().execute(args[0] as string, args[1] as readonly SqlValue[]);
      case 'keepRequest':
        return this.#opened().keepRequest(args[0] as KeptRequest);
      case 'dropRequest':
        return this.#opened().dropRequest();
      case 'commit':
        return this.#commit();
      case 'rollback':
        return this.#end((batch) => batch.rollback());
      case 'close':
        return this.#close();
      default:
        throw new PlatformError('INTERNAL', `unknown operation ${operation}`);
    }
  }

  async #begin(requestIds: readonly string[], waitMs: number): Promise<unknown> {
    await this.#batch?.rollback();
    this.#batch = await this.#writeAll.beginBatch(requestIds, waitMs);
    this.#hold = systemClock.after(
      BATCH_HOLD_MS_MAX,
      () => void this.#end((batch) => batch.rollback()).catch(() => undefined),
    ); // T2
    return this.#batch.found;
  }

  async #commit(): Promise<WorkerCommitOutcome> {
    if (this.#batch === undefined) {
      return { kind: 'rolled-back', failure: { code: 'STORE_BUSY', detail: 'the batch was undone; it is run again' } };
    }
    const outcome = await this.#end((batch) => batch.commit());
    if (outcome.kind === 'committed') return { kind: 'committed', failure: null };
    const { code, detail } = outcome.error;
    return { kind: outcome.kind, failure: { code, detail } };
  }

  async #end<T>(end: (batch: WriteBatch) => Promise<T>): Promise<T> {
    const batch = this.#opened();
    this.#hold?.cancel();
    try {
      return await end(batch);
    } finally {
      this.#batch = undefined;
    }
  }

  async #close(): Promise<void> {
    if (this.#batch !== undefined) await this.#end((batch) => batch.rollback());
    await this.#writeAll.close();
  }

  #opened(): WriteBatch {
    if (this.#batch === undefined)
      throw new PlatformError('STORE_BUSY', 'the batch was open for too long and was undone');
    return this.#batch;
  }
}

class ReaderSide implements Side {
  readonly lost = false;
  readonly #files: (SqliteFile | undefined)[] = [];

  call(operation: string, args: readonly unknown[]): unknown {
    if (operation === 'read') return this.#read(args[0] as number, args[1] as string, args[2] as readonly SqlValue[]);
    if (operation === 'close') {
      for (const file of this.#files) file?.close();
      return undefined;
    }
    throw new PlatformError('INTERNAL', `unknown operation ${operation}`);
  }

  #read(replica: number, sql: string, params: readonly SqlValue[]): unknown {
    const path = data.files[replica]?.path;
    if (path === undefined) throw new PlatformError('INTERNAL', `no replica ${replica}`);
    this.#files[replica] ??= new SqliteFile(path, 'reader', systemClock);
    this.#files[replica].checkFile();
    return this.#files[replica].query(sql, params);
  }
}

const side: Side = data.role === 'writer' ? new WriterSide() : new ReaderSide();
let tail: Promise<void> = Promise.resolve();
collectWhenIdle();

port.on('message', (calls: readonly WorkerCall[]) => {
  tail = tail.then(() => answer(calls)); // T1
});

async function answer(calls: readonly WorkerCall[]): Promise<void> {
  const replies: WorkerReply[] = [];
  for (const [id, operation, args] of calls) {
    let failure: WorkerFailure | null = null;
    let result: unknown;
    try {
      result = side.call(operation, args);
      if (result instanceof Promise) result = await result;
    } catch (thrown) {
      const { code, detail } = toPlatformError(thrown, 'INTERNAL');
      failure = { code, detail, lost: side.lost };
      result = undefined;
    }
    if (id !== 0) replies.push([id, failure, result]);
  }
  if (replies.length > 0) tell({ kind: 'replies', replies });
}
