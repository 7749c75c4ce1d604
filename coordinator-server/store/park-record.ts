/**
 * What a journal's or snapshot's record holds: a revision and the changes under it. Numbers are little-endian, texts
 * UTF-8 behind their length.
 *
 * | part            | bytes                                                                                           |
 * |-----------------|-------------------------------------------------------------------------------------------------|
 * | record          | u8 1 (format), u8 kind, f64 revision, f64 end revision, u16 changes, then the changes            |
 * | 1 put           | u8 1, u8 flags (1 content changed, 2 ephemeral, 4·access), domain, node, creator (u8 length each), f64 version, f64 createRevision, f64 modRevision, f64 ttlMs, u32 length and value |
 * | 2 remove        | u8 2, domain, node (u8 length each)                                                             |
 * | 3 domain        | u8 3, u8 deletable, domain, creator (u8 length each), f64 nextName                              |
 * | 4 remove-domain | u8 4, domain (u8 length)                                                                        |
 * | 5 session       | u8 5, id, name (u8 length each), f64 ttlMs                                                      |
 * | 6 session-ended | u8 6, id (u8 length)                                                                            |
 *
 * Kinds of records: 1 a transaction; 2 part of a snapshot (revision 0: nodes bring their own); 3 the last of a snapshot:
 * the park's revision when it was begun, and when it ended.
 */
import { PlatformError } from '../../shared/errors.ts';
import { ACCESS_RIGHTS } from '../../shared/park/park-model.ts';
import type { StoredChange } from '../park/park-state.ts';

export const RECORD_KIND = { transaction: 1, snapshotPart: 2, snapshotEnd: 3 } as const;
export type RecordKind = (typeof RECORD_KIND)[keyof typeof RECORD_KIND];

export interface ParkRecord {
  readonly kind: RecordKind;
  readonly revision: number;
  readonly endRevision: number;
  readonly changes: readonly StoredChange[];
}

const FORMAT = 1;
const HEAD_BYTES = 20;
/** Of one change beside its texts: the largest is a put. */
const CHANGE_BYTES_MAX = 48;
const CHANGES_MAX = 65_535;
const CHANGE = { put: 1, remove: 2, domain: 3, 'remove-domain': 4, session: 5, 'session-ended': 6 } as const;

/** Encodes records into a buffer of its own, used again each time. */
export class ParkRecordWriter {
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #at = 0;

  /** @returns the record; valid until the next call @param changes at most 65,535 */
  encode(kind: RecordKind, revision: number, endRevision: number, changes: readonly StoredChange[]): Buffer {
    if (changes.length > CHANGES_MAX)
      throw new RangeError(`expected at most ${CHANGES_MAX} changes, got ${changes.length}`);
    this.#at = 0;
    this.#reserve(HEAD_BYTES);
    this.#u8(FORMAT);
    this.#u8(kind);
    this.#f64(revision);
    this.#f64(endRevision);
    this.#at = this.#buffer.writeUInt16LE(changes.length, this.#at);
    for (const change of changes) this.#change(change);
    return this.#buffer.subarray(0, this.#at);
  }

  #change(change: StoredChange): void {
    this.#reserve(CHANGE_BYTES_MAX + 4 * 255);
    this.#u8(CHANGE[change.kind]);
    switch (change.kind) {
      case 'put':
        return this.#put(change);
      case 'remove':
        this.#name(change.domain);
        this.#name(change.node);
        return;
      case 'domain':
        this.#u8(change.record.deletable ? 1 : 0);
        this.#name(change.record.domain);
        this.#name(change.record.creator);
        this.#f64(change.record.nextName);
        return;
      case 'remove-domain':
        this.#name(change.domain);
        return;
      case 'session':
        this.#name(change.id);
        this.#name(change.name);
        this.#f64(change.ttlMs);
        return;
      case 'session-ended':
        this.#name(change.id);
    }
  }

  #put({ record, contentChanged }: Extract<StoredChange, { kind: 'put' }>): void {
    const { value } = record;
    this.#u8((contentChanged ? 1 : 0) | (record.ephemeral ? 2 : 0) | (ACCESS_RIGHTS.indexOf(record.access) << 2));
    this.#name(record.domain);
    this.#name(record.node);
    this.#name(record.creator);
    this.#f64(record.version);
    this.#f64(record.createRevision);
    this.#f64(record.modRevision);
    this.#f64(record.ttlMs);
    this.#reserve(4 + value.length * 3); // a UTF-16 unit is at most three bytes
    const bytes = this.#buffer.write(value, this.#at + 4, 'utf8');
    this.#at = this.#buffer.writeUInt32LE(bytes, this.#at) + bytes;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + bytes, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }

  #u8(value: number): void {
    this.#buffer[this.#at++] = value;
  }

  #f64(value: number): void {
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  /** At most 255 bytes: names are ASCII, and session names were shortened at the edge. */
  #name(text: string): void {
    const bytes = this.#buffer.write(text, this.#at + 1, 255, 'utf8');
    this.#buffer[this.#at] = bytes;
    this.#at += 1 + bytes;
  }
}

/** @throws PlatformError JOURNAL_CORRUPT when it is no record of this format */
export function decodeParkRecord(payload: Buffer): ParkRecord {
  const reader = new RecordReader(payload);
  const format = reader.u8();
  if (format !== FORMAT)
    throw corrupt(`expected a record of format ${FORMAT}, got ${format}: run the version that wrote it`);
  const kind = reader.u8();
  if (kind < RECORD_KIND.transaction || kind > RECORD_KIND.snapshotEnd)
    throw corrupt(`expected a record of kind 1 to 3, got ${kind}`);
  const revision = reader.integer();
  const endRevision = reader.integer();
  const count = reader.u16();
  const changes: StoredChange[] = [];
  for (let index = 0; index < count; index++) changes.push(reader.change());
  reader.requireEnd();
  return { kind: kind as RecordKind, revision, endRevision, changes };
}

class RecordReader {
  readonly #payload: Buffer;
  #at = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  change(): StoredChange {
    const type = this.u8();
    switch (type) {
      case CHANGE.put:
        return this.#put();
      case CHANGE.remove:
        return { kind: 'remove', domain: this.#name(), node: this.#name() };
      case CHANGE.domain: {
        const deletable = this.u8() === 1;
        const record = { domain: this.#name(), creator: this.#name(), deletable, nextName: this.integer() };
        return { kind: 'domain', record };
      }
      case CHANGE['remove-domain']:
        return { kind: 'remove-domain', domain: this.#name() };
      case CHANGE.session:
        return { kind: 'session', id: this.#name(), name: this.#name(), ttlMs: this.integer() };
      case CHANGE['session-ended']:
        return { kind: 'session-ended', id: this.#name() };
      default:
        throw corrupt(`expected a change of type 1 to 6, got ${type}`);
    }
  }

  #put(): StoredChange {
    const flags = this.u8();
    const access = ACCESS_RIGHTS[flags >> 2];
    if (access === undefined) throw corrupt(`expected an access right of 0 to 2, got ${flags >> 2}`);
    const domain = this.#name();
    const node = this.#name();
    const creator = this.#name();
    const version = this.integer();
    const createRevision = this.integer();
    const modRevision = this.integer();
    const ttlMs = this.integer();
    const bytes = this.#need(4).readUInt32LE(this.#take(4));
    const value = this.#need(bytes).toString('utf8', this.#at, this.#take(bytes) + bytes);
    const ephemeral = (flags & 2) !== 0;
    const record = { domain, node, value, version, createRevision, modRevision, access, ephemeral, ttlMs, creator };
    return { kind: 'put', record, contentChanged: (flags & 1) !== 0 };
  }

  u8(): number {
    return this.#need(1)[this.#take(1)] as number;
  }

  u16(): number {
    return this.#need(2).readUInt16LE(this.#take(2));
  }

  /** A double that is a whole number from 0 on. */
  integer(): number {
    const value = this.#need(8).readDoubleLE(this.#take(8));
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw corrupt(`expected a whole number at byte ${this.#at - 8}, got ${value}`);
  }

  requireEnd(): void {
    if (this.#at !== this.#payload.length)
      throw corrupt(`expected the record's end at byte ${this.#at} of ${this.#payload.length}`);
  }

  #name(): string {
    const bytes = this.u8();
    return this.#need(bytes).toString('utf8', this.#at, this.#take(bytes) + bytes);
  }

  #need(bytes: number): Buffer {
    if (this.#at + bytes <= this.#payload.length) return this.#payload;
    throw corrupt(`expected ${bytes} bytes at byte ${this.#at}, the record has ${this.#payload.length}`);
  }

  /** @returns where it begins */
  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}

function corrupt(detail: string): PlatformError {
  return new PlatformError('JOURNAL_CORRUPT', `A record of the park cannot be read: ${detail}.`);
}
