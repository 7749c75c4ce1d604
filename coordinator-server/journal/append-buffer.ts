/**
 * Records that wait for the disk, laid out as they will stand in the file: while one batch is being written, the next
 * one fills another buffer. Pure.
 *
 * A1: never more than UNFLUSHED_BYTES_MAX and UNFLUSHED_RECORDS_MAX, the batch under way included, and one record.
 */
import {
  APPEND_BUFFER_BYTES,
  APPEND_BUFFER_KEPT_BYTES,
  UNFLUSHED_BYTES_MAX,
  UNFLUSHED_RECORDS_MAX,
} from './journal-limits.ts';
import { MARK_BYTES, RECORD_HEAD_BYTES, writeRecord } from './record-codec.ts';

export interface Batch {
  /** MARK_BYTES of room, then records without checksums. */
  readonly bytes: Buffer;
  readonly length: number;
  readonly records: number;
}

export class AppendBuffer {
  #bytes: Buffer = Buffer.allocUnsafeSlow(APPEND_BUFFER_BYTES);
  #length = MARK_BYTES;
  #records = 0;
  #spare: Buffer | undefined = Buffer.allocUnsafeSlow(APPEND_BUFFER_BYTES);
  /** Of the batch under way. */
  #takenBytes = 0;
  #takenRecords = 0;

  /** Records that no batch has taken yet. */
  get records(): number {
    return this.#records;
  }

  get isFull(): boolean {
    return (
      this.#length + this.#takenBytes >= UNFLUSHED_BYTES_MAX ||
      this.#records + this.#takenRecords >= UNFLUSHED_RECORDS_MAX
    ); // A1
  }

  append(payload: Uint8Array, sequence: number): void {
    const end = this.#length + RECORD_HEAD_BYTES + payload.length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#length = writeRecord(this.#bytes, this.#length, payload, sequence);
    this.#records += 1;
  }

  /** All that waits; maybe nothing. The next call comes after `release`. */
  take(): Batch {
    const batch = { bytes: this.#bytes, length: this.#length, records: this.#records };
    this.#takenBytes = batch.length;
    this.#takenRecords = batch.records;
    this.#bytes = this.#spare ?? Buffer.allocUnsafeSlow(APPEND_BUFFER_BYTES);
    this.#spare = undefined;
    this.#empty();
    return batch;
  }

  /** The batch is on the disk, or given up. */
  release(batch: Batch): void {
    this.#takenBytes = 0;
    this.#takenRecords = 0;
    if (batch.bytes.length <= APPEND_BUFFER_KEPT_BYTES) this.#spare = batch.bytes;
  }

  /** Forgets what waits. */
  clear(): void {
    if (this.#bytes.length > APPEND_BUFFER_KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(APPEND_BUFFER_BYTES);
    this.#empty();
  }

  #empty(): void {
    this.#length = MARK_BYTES;
    this.#records = 0;
  }

  #grow(bytesMin: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(bytesMin, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
