/** A StoreDoor over one SQLite database in memory: what handlers see of a store, without replicas. */
import { DatabaseSync } from 'node:sqlite';
import type { StoreDoor } from '../../app-server/handler-runner.ts';
import type { Row, SqlValue, WriteOutcome, WriteRequest, WriteTransaction } from '../../db/replicated-store.ts';
import { PlatformError } from '../../shared/errors.ts';

/** One write after the other, each in a transaction; the first value of a request id is kept. */
export class MemoryStore implements StoreDoor {
  readonly database = new DatabaseSync(':memory:');
  readonly requests: WriteRequest[] = [];
  readonly #stored = new Map<string, { fingerprint: string; json: string }>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(schema: readonly string[]) {
    for (const statement of schema) this.database.exec(statement);
  }

  async read(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return this.#rows(sql, params);
  }

  write<T>(request: WriteRequest, run: (tx: WriteTransaction) => Promise<T>): Promise<WriteOutcome<T>> {
    const mine = this.#last.then(() => this.#write(request, run));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  close(): void {
    this.database.close();
  }

  async #write<T>(request: WriteRequest, run: (tx: WriteTransaction) => Promise<T>): Promise<WriteOutcome<T>> {
    this.requests.push(request);
    const stored = this.#stored.get(request.requestId);
    if (stored !== undefined) {
      if (stored.fingerprint !== request.fingerprint) {
        throw new PlatformError('IDEMPOTENCY_KEY_REUSED', 'expected the same request under the same key');
      }
      return { value: JSON.parse(stored.json) as T, replayed: true };
    }
    this.database.exec('BEGIN');
    try {
      const value = await run(this.#transaction());
      const json = JSON.stringify(value);
      if (json === undefined) throw new PlatformError('REPLY_INVALID', 'expected the write to return JSON');
      this.database.exec('COMMIT');
      this.#stored.set(request.requestId, { fingerprint: request.fingerprint, json });
      return { value, replayed: false };
    } catch (thrown) {
      this.database.exec('ROLLBACK');
      throw thrown;
    }
  }

  #rows(sql: string, params: readonly SqlValue[]): Row[] {
    return this.database.prepare(sql).all(...params) as Row[];
  }

  #transaction(): WriteTransaction {
    return {
      query: async (sql, params = []) => this.#rows(sql, params),
      execute: async (sql, params = []) => ({ changes: Number(this.database.prepare(sql).run(...params).changes) }),
      now: () => 1_700_000_000_000,
      uuid: () => '00000000-0000-4000-8000-000000000000',
      random: () => 0.5,
    };
  }
}
