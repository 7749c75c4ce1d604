/**
 * Snapshots of the park, made while it is written: in small steps, each short against the latency of a request.
 *
 * N1: what a step writes is as the park is then; the journal's records from the snapshot's begin to its end, put in
 *     force on top, make it one moment's park (V4 of park-state.ts).
 * N2: one snapshot is made at a time, when the journal has grown by as much as the last one took, and by
 *     `snapshotAfterBytes` at least.
 * N3: what the journal took back may stand in a snapshot under way: that one is abandoned.
 */
import type { Clock } from '../../shared/clock.ts';
import { toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { ParkState, StoredChange } from '../park/park-state.ts';
import { ParkRecordWriter, RECORD_KIND } from './park-record.ts';

export const SNAPSHOT_AFTER_BYTES = 64 * 1024 * 1024;
/** Nodes of one step, and bytes of their values: about a millisecond. */
const STEP_NODES = 250;
const STEP_BYTES = 512 * 1024;
/** Nodes of one record. */
const RECORD_NODES = 50;

interface SnapshotWriter {
  append(payload: Uint8Array): Promise<void> | undefined;
  commit(): Promise<void>;
  abandon(): Promise<void>;
}

/** A journal. */
export interface SnapshotSource {
  beginSnapshot(): SnapshotWriter;
}

export interface ParkSnapshotsOptions {
  readonly journal: SnapshotSource;
  readonly state: ParkState;
  readonly clock: Clock;
  readonly log: Logger;
  readonly snapshotAfterBytes?: number | undefined;
}

class Abandoned extends Error {}

export class ParkSnapshots {
  readonly #options: ParkSnapshotsOptions;
  readonly #records = new ParkRecordWriter();
  /** Of journal records since the last snapshot was begun. */
  #grownBytes = 0;
  #lastBytes = 0;
  #lastRecords = 0;
  #made = 0;
  #failure = '';
  #isAbandoned = false;
  #isPaused = false;
  #closed = false;
  #underWay: Promise<number> | undefined;

  constructor(options: ParkSnapshotsOptions) {
    this.#options = options;
  }

  status(): Readonly<Record<string, unknown>> {
    return { made: this.#made, records: this.#lastRecords, bytes: this.#lastBytes, failure: this.#failure };
  }

  /** A record was appended to the journal. */
  appended(bytes: number): void {
    this.#grownBytes += bytes;
    const due = Math.max(this.#options.snapshotAfterBytes ?? SNAPSHOT_AFTER_BYTES, this.#lastBytes); // N2
    if (this.#grownBytes < due || this.#underWay !== undefined || this.#isPaused || this.#closed) return;
    this.make().catch(() => undefined); // told by status() and the log
  }

  /** A checkpointer makes them. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    if (isPaused) this.#grownBytes = 0;
  }

  /** @returns records in it */
  make(): Promise<number> {
    this.#underWay ??= this.#make().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** N3 */
  abandon(): void {
    this.#isAbandoned = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.abandon();
    await this.#underWay?.catch(() => undefined);
  }

  async #make(): Promise<number> {
    const { journal, log, clock, state } = this.#options;
    this.#isAbandoned = false;
    this.#grownBytes = 0;
    const beganAtMs = clock.nowMs();
    const writer = journal.beginSnapshot(); // N1
    try {
      const { revision } = state;
      const written = await this.#writeAll(writer);
      await writer.append(this.#records.encode(RECORD_KIND.snapshotEnd, revision, state.revision, []));
      await this.#step();
      await writer.commit();
      this.#made += 1;
      this.#failure = '';
      this.#lastBytes = written.bytes;
      this.#lastRecords = written.records;
      log.info({ ...written, tookMs: Math.round(clock.nowMs() - beganAtMs) }, 'snapshot of the park made');
      return written.records;
    } catch (thrown) {
      await writer.abandon().catch(() => undefined);
      if (!(thrown instanceof Abandoned)) {
        this.#failure = toPlatformError(thrown).detail;
        log.error({ err: thrown }, 'snapshot of the park not made; the journal keeps what it would have replaced');
      }
      throw thrown;
    }
  }

  async #writeAll(writer: SnapshotWriter): Promise<{ records: number; bytes: number }> {
    const total = { records: 0, bytes: 0 };
    const write = async (changes: readonly StoredChange[]): Promise<void> => {
      const record = this.#records.encode(RECORD_KIND.snapshotPart, 0, 0, changes);
      total.records += 1;
      total.bytes += record.length;
      await writer.append(record);
    };
    for (const id of this.#options.state.sessionIds()) {
      const session = this.#options.state.session(id);
      if (session !== undefined) await write([{ kind: 'session', id, name: session.name, ttlMs: session.ttlMs }]);
    }
    const { state } = this.#options;
    for (let domain = state.nextDomain(''); domain !== undefined; domain = state.nextDomain(domain.record.domain)) {
      await write([{ kind: 'domain', record: domain.record }]);
      await this.#writeNodes(domain.record.domain, write);
    }
    return total;
  }

  async #writeNodes(domain: string, write: (changes: readonly StoredChange[]) => Promise<void>): Promise<void> {
    const { state } = this.#options;
    let changes: StoredChange[] = [];
    let nodes = 0;
    let bytes = 0;
    let after = '';
    for (;;) {
      const record = state.nextNode(domain, after);
      if (record === undefined) break;
      after = record.node;
      changes.push({ kind: 'put', record, contentChanged: false });
      nodes += 1;
      bytes += record.value.length;
      if (changes.length >= RECORD_NODES || bytes >= STEP_BYTES) {
        await write(changes);
        changes = [];
      }
      if (nodes < STEP_NODES && bytes < STEP_BYTES) continue;
      nodes = 0;
      bytes = 0;
      await this.#step();
    }
    if (changes.length > 0) await write(changes);
  }

  /** Lets everything else have its turn. */
  async #step(): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.atEndOfTick(resolve));
    if (this.#isAbandoned) throw new Abandoned('the journal took changes back while the snapshot was made');
  }
}
