/**
 * What a handler's write callback sees: its part of a batch.
 *
 * H1: once its part has ended (done, thrown, overdue) every further call is refused; another request's part has begun.
 * H2: a statement that failed fails the request, even when the callback swallows the error (R5).
 */
import type { Clock } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Random } from '../../shared/random.ts';
import type { OpenBatch } from '../engine.ts';
import { PARAMS_MAX } from '../limits.ts';
import type { Row, SqlValue } from '../replica.ts';
import { type Fence, passFence } from './fence.ts';
import { statementKind } from './statement-rules.ts';

export interface WriteTransaction {
  /** Reads inside the transaction, on the leader. On MySQL the rows read are locked until the commit. */
  query(sql: string, params?: readonly SqlValue[]): Promise<Row[]>;
  execute(sql: string, params?: readonly SqlValue[]): Promise<{ changes: number }>;
  /** Wall time in ms since 1970, the same throughout the callback. */
  now(): number;
  uuid(): string;
  /** 0 ≤ x < 1 */
  random(): number;
}

export class HandlerTransaction implements WriteTransaction {
  readonly #batch: OpenBatch;
  readonly #random: Random;
  readonly #nowMs: number;
  readonly #running = new Set<Promise<unknown>>();
  #ended = false;
  #failure: PlatformError | undefined;

  constructor(batch: OpenBatch, clock: Clock, random: Random) {
    this.#batch = batch;
    this.#random = random;
    this.#nowMs = clock.wallMs();
  }

  /** H2. First statement that failed. */
  get failure(): PlatformError | undefined {
    return this.#failure;
  }

  query(sql: string, params: readonly SqlValue[] = []): Promise<Row[]> {
    return this.#run('read', sql, params, () => this.#batch.query(sql, params));
  }

  execute(sql: string, params: readonly SqlValue[] = []): Promise<{ changes: number }> {
    return this.#run('write', sql, params, async () => ({ changes: await this.#batch.execute(sql, params) }));
  }

  /** Before the callback. @throws PlatformError FENCE_OUTDATED */
  pass(fence: Fence): Promise<void> {
    return this.#tracked(() => passFence(this.#batch, fence));
  }

  now(): number {
    return this.#nowMs;
  }

  uuid(): string {
    return this.#random.uuid();
  }

  random(): number {
    return this.#random.float();
  }

  /** H1. Resolves when the statements still running have ended. */
  async end(): Promise<void> {
    this.#ended = true;
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** A callback that forgets to await must not end the process by an unhandled rejection: H2 tells it. */
  #run<T>(kind: 'read' | 'write', sql: string, params: readonly SqlValue[], run: () => Promise<T>): Promise<T> {
    const result = this.#tracked(() => {
      requireStatement(kind, sql, params);
      return run();
    });
    result.catch(() => undefined);
    return result;
  }

  async #tracked<T>(run: () => Promise<T>): Promise<T> {
    if (this.#ended)
      throw new PlatformError('STATEMENT_FAILED', 'the transaction of this write has ended: await every call'); // H1
    try {
      const running = run();
      this.#running.add(running);
      try {
        return await running;
      } finally {
        this.#running.delete(running);
      }
    } catch (thrown) {
      this.#failure ??= toPlatformError(thrown, 'STATEMENT_FAILED');
      throw this.#failure;
    }
  }
}

/** @throws PlatformError STATEMENT_FAILED */
export function requireStatement(kind: 'read' | 'write', sql: string, params: readonly SqlValue[]): void {
  const found = statementKind(sql);
  if (found !== kind) {
    const use = found === 'read' ? 'read with query()' : 'write with execute(), inside db.write()';
    throw new PlatformError('STATEMENT_FAILED', `expected a statement that ${kind}s, this one ${found}s: ${use}`);
  }
  if (params.length > PARAMS_MAX) {
    throw new PlatformError('STATEMENT_FAILED', `expected at most ${PARAMS_MAX} parameters, ${params.length} came`);
  }
  for (const [index, value] of params.entries()) requireValue(index, value);
}

function requireValue(index: number, value: unknown): void {
  if (value === null || typeof value === 'bigint' || value instanceof Uint8Array) return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  // A lone surrogate has no UTF-8 form, and node:sqlite reads a string up to its first NUL: two would be taken for one.
  if (typeof value === 'string' && value.isWellFormed() && !value.includes('\0')) return;
  const came =
    typeof value === 'string' ? 'a string with a lone surrogate or a NUL' : `${typeof value} ${String(value)}`;
  throw new PlatformError(
    'STATEMENT_FAILED',
    `parameter ${index + 1}: expected null, a finite number, a bigint, a well-formed string without NUL, or bytes, ${came} came`,
  );
}
