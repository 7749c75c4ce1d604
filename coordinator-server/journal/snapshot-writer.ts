/**
 * A snapshot that the journal's owner writes of what it holds, in steps, while records are appended.
 *
 * W1: what the snapshot may show of a record is on the disk before the snapshot counts (S2): `commit` waits for all records
 *     appended until then, and fails when any record was taken back since the beginning.
 */
import assert from 'node:assert/strict';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import { isSpaceError } from './journal-files.ts';
import type { SnapshotFile } from './snapshot-file.ts';

/** The journal, as its snapshot sees it. */
export interface SnapshotHost {
  readonly lastSequence: number;
  /** How often records were taken back. */
  readonly takenBack: number;
  createFile(fromSequence: number): Promise<SnapshotFile>;
  /** @throws when the record was taken back */
  untilDurable(sequence: number): Promise<void>;
  /** The file is there under its name. */
  onCommitted(fromSequence: number): Promise<void>;
  /** It was committed or given up. */
  onEnd(): void;
}

export class SnapshotWriter {
  /** First record to be told on top of the snapshot. */
  readonly fromSequence: number;
  readonly #host: SnapshotHost;
  readonly #takenBack: number;
  readonly #creating: Promise<SnapshotFile>;
  #file: SnapshotFile | undefined;
  #held: Uint8Array[] = [];
  #isWriting = false;
  #ending: Promise<void> | undefined;

  constructor(host: SnapshotHost) {
    this.#host = host;
    this.fromSequence = host.lastSequence + 1;
    this.#takenBack = host.takenBack;
    this.#creating = host.createFile(this.fromSequence);
    this.#creating.catch(() => undefined); // whoever appends or commits is told
  }

  /**
   * Takes a record of what the owner holds, as it is at this moment or was at any since the beginning.
   * @returns when given: to be awaited before the next record
   * @throws PlatformError STORE_UNAVAILABLE when it cannot be written; then only `abandon` is left to do
   */
  append(payload: Uint8Array): Promise<void> | undefined {
    assert.ok(!this.#isWriting, 'expected the append before to be awaited');
    assert.ok(this.#ending === undefined, 'expected a snapshot that was neither committed nor abandoned');
    if (this.#file === undefined) {
      this.#held.push(Buffer.from(payload));
      return this.#write();
    }
    return this.#file.append(payload) ? this.#write() : undefined;
  }

  /** @throws PlatformError STORE_UNAVAILABLE when it does not count; the snapshots before it do */
  commit(): Promise<void> {
    assert.ok(!this.#isWriting, 'expected the append before to be awaited');
    assert.ok(this.#ending === undefined, 'expected a snapshot that was neither committed nor abandoned');
    this.#ending = this.#commit();
    return this.#ending;
  }

  /** Leaves the snapshots before it as they are. One that is being committed comes to its end. */
  async abandon(): Promise<void> {
    this.#ending ??= this.#remove();
    await this.#ending.catch(() => undefined);
  }

  async #commit(): Promise<void> {
    const endSequence = this.#host.lastSequence;
    try {
      const file = await this.#ready();
      await this.#host.untilDurable(endSequence); // W1
      if (this.#host.takenBack !== this.#takenBack) {
        const detail = 'Records that the snapshot may show were taken back: begin another one.';
        throw new PlatformError('STORE_UNAVAILABLE', detail); // W1
      }
      await file.commit(endSequence);
      await this.#host.onCommitted(this.fromSequence);
    } catch (thrown) {
      await this.#remove();
      throw snapshotError(thrown);
    }
    this.#host.onEnd();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      const file = await this.#ready();
      await file.writeChunk();
    } catch (thrown) {
      throw snapshotError(thrown);
    } finally {
      this.#isWriting = false;
    }
  }

  async #ready(): Promise<SnapshotFile> {
    const file = await this.#creating;
    this.#file = file;
    for (const payload of this.#held) file.append(payload);
    this.#held = [];
    return file;
  }

  async #remove(): Promise<void> {
    const file = await this.#creating.catch(() => undefined);
    await file?.abandon();
    this.#host.onEnd();
  }
}

function snapshotError(thrown: unknown): PlatformError {
  const { detail } = toPlatformError(thrown);
  const advice = isSpaceError(thrown) ? 'make room on the disk' : 'look at the disk';
  if (thrown instanceof PlatformError) return thrown;
  return new PlatformError('STORE_UNAVAILABLE', `A snapshot could not be written: ${detail}; ${advice}.`, {
    cause: thrown,
  });
}
