/** A store engine without a database: records what a lane asks of it and answers as told. */
import type { CommitOutcome, KeptRequest, OpenBatch, StoreEngine } from '../../db/engine.ts';
import type { LoggedReply, Row } from '../../db/replica.ts';
import { PlatformError } from '../../shared/errors.ts';

export class FakeEngine implements StoreEngine {
  readonly laneCount = 1;
  /** Request ids of every batch begun, and of those that were committed. */
  readonly begun: string[][] = [];
  readonly committed: string[][] = [];
  readonly logged = new Map<string, LoggedReply>();
  /** Thrown by the next begins, one each. */
  readonly beginFailures: PlatformError[] = [];
  /** Outcomes of the next commits, one each; then all commit. */
  readonly outcomes: CommitOutcome[] = [];
  /** Statements that fail and what they fail with; `lost` ends their batch too. */
  readonly failing = new Map<string, { readonly error: PlatformError; readonly lost: boolean }>();

  async beginBatch(requestIds: readonly string[]): Promise<OpenBatch> {
    this.begun.push([...requestIds]);
    const failure = this.beginFailures.shift();
    if (failure !== undefined) throw failure;
    return new FakeBatch(
      this,
      requestIds.flatMap((id) => this.logged.get(id) ?? []),
    );
  }

  async read(): Promise<Row[]> {
    return [];
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {}
}

class FakeBatch implements OpenBatch {
  readonly found: readonly LoggedReply[];
  lost = false;
  readonly #engine: FakeEngine;
  readonly #kept: KeptRequest[] = [];

  constructor(engine: FakeEngine, found: readonly LoggedReply[]) {
    this.#engine = engine;
    this.found = found;
  }

  openRequest(): void {}

  async query(sql: string): Promise<Row[]> {
    await this.#run(sql);
    return [];
  }

  async execute(sql: string): Promise<number> {
    await this.#run(sql);
    return 1;
  }

  keepRequest(kept: KeptRequest): void {
    this.#kept.push(kept);
  }

  dropRequest(): void {}

  async commit(): Promise<CommitOutcome> {
    if (this.lost) return { kind: 'rolled-back', error: new PlatformError('STORE_BUSY', 'lost') };
    const outcome = this.#engine.outcomes.shift() ?? { kind: 'committed' };
    if (outcome.kind === 'committed') {
      this.#engine.committed.push(this.#kept.map(({ requestId }) => requestId));
      for (const kept of this.#kept) this.#engine.logged.set(kept.requestId, kept);
    }
    return outcome;
  }

  async rollback(): Promise<void> {}

  async #run(sql: string): Promise<void> {
    const failing = this.#engine.failing.get(sql);
    if (failing === undefined) return;
    this.lost ||= failing.lost;
    throw failing.error;
  }
}
