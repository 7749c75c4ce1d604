/** What the main thread and the SQLite worker threads say to each other. Many calls and replies travel in one message. */
import type { ErrorCode } from '../shared/errors.ts';
import type { CommitStep } from './engine.ts';
import type { ReplicaCondition } from './replica.ts';

export interface SqliteWorkerData {
  readonly role: 'writer' | 'reader';
  readonly groupId: string;
  /** The leader first; absolute paths. */
  readonly files: readonly { readonly replicaId: string; readonly path: string }[];
  readonly schema: readonly string[];
  /** For tests: steps to stop at, and the cell the worker sleeps on until the main thread has run the hook. */
  readonly steps: readonly CommitStep[];
  readonly stepCell: Int32Array;
}

/** [call id, operation, arguments]; id 0 wants no reply. */
export type WorkerCall = readonly [id: number, operation: string, args: readonly unknown[]];

export interface WorkerFailure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** The open batch cannot be kept; see OpenBatch.lost. */
  readonly lost: boolean;
}

/** [call id, failure or null, result] */
export type WorkerReply = readonly [id: number, failure: WorkerFailure | null, result: unknown];

/** A CommitOutcome whose error can be copied between threads. */
export interface WorkerCommitOutcome {
  readonly kind: 'committed' | 'rolled-back' | 'unknown';
  readonly failure: Omit<WorkerFailure, 'lost'> | null;
}

export type WorkerMessage =
  | { readonly kind: 'replies'; readonly replies: readonly WorkerReply[] }
  | { readonly kind: 'conditions'; readonly conditions: readonly ReplicaCondition[] }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'step'; readonly step: CommitStep };
