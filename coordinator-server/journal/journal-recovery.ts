/**
 * What a journal's folder holds, told to its owner: the newest whole snapshot, then every record after it.
 *
 * R1: what was known to be on the disk is told, or the journal refuses to start: never a gap, never a record that does not
 *     match. Known is: all of a segment that another one follows (G1), all before a whole mark (C2), all up to a
 *     snapshot's end sequence (S2).
 * R2: what is behind that may be torn by a crash, pages missing in any order: it is told up to the first fault; the rest is
 *     cut off and reported.
 * R3: what was told is on the disk before `recover` returns.
 * R4: a snapshot that is damaged is set aside, and the one before it used with the records since then.
 */
import path from 'node:path';
import type { Logger } from '../../shared/log.ts';
import { type JournalFiles, unlinkIfThere } from './journal-files.ts';
import { HEAD_BYTES } from './record-codec.ts';
import { findMark, type OnRecord, RecordScan, scanTo } from './record-scan.ts';
import {
  corrupt,
  isLeftOver,
  parseName,
  readSegment,
  type Segment,
  segmentName,
  snapshotName,
} from './segment-file.ts';
import { BASELINE_FLAG, checkSnapshot, readSnapshotRecords, type SnapshotContent } from './snapshot-file.ts';

export interface Recovery {
  readonly snapshotRecords: number;
  /** Told after the snapshot. */
  readonly journalRecords: number;
  /** Of a torn end. */
  readonly cutBytes: number;
  /** Why the newest snapshot was not used; '' when it was, or there is none. */
  readonly snapshotDamage: string;
}

export interface RecoveredFolder {
  readonly recovery: Recovery;
  readonly segments: Segment[];
  /** Sequences that whole or unread snapshots begin at, ascending. */
  readonly snapshots: number[];
  readonly lastSequence: number;
  /** undefined: an empty folder. */
  readonly journalId: Buffer | undefined;
  readonly epoch: number;
}

interface Base {
  /** First sequence to be told. */
  readonly from: number;
  readonly endSequence: number;
  readonly isBaseline: boolean;
  readonly head: SnapshotContent['head'] | undefined;
  readonly records: number;
}

const SCRATCH: Base = { from: 1, endSequence: 0, isBaseline: false, head: undefined, records: 0 };

export class FolderReader {
  readonly #files: JournalFiles;
  readonly #folder: string;
  readonly #log: Logger;
  readonly #onRecord: OnRecord;
  #damage = '';

  constructor(files: JournalFiles, folder: string, log: Logger, onRecord: OnRecord) {
    this.#files = files;
    this.#folder = folder;
    this.#log = log;
    this.#onRecord = onRecord;
  }

  /** @throws PlatformError JOURNAL_CORRUPT */
  async recover(): Promise<RecoveredFolder> {
    const names = await this.#files.list(this.#folder);
    for (const name of names) if (isLeftOver(name)) await unlinkIfThere(this.#files, path.join(this.#folder, name));
    const firsts = sequencesOf(names, 'journal');
    const snapshots = sequencesOf(names, 'snapshot');
    const segments: Segment[] = [];
    for (const first of firsts) segments.push(await readSegment(this.#files, this.#folder, first));
    const base = await this.#tellBase(segments, snapshots);
    this.#requireOneJournal(segments, base);
    const tail = await this.#tellTail(segments, base);
    return {
      recovery: { snapshotRecords: base.records, ...tail.told, snapshotDamage: this.#damage },
      segments,
      snapshots,
      lastSequence: tail.lastSequence,
      journalId: base.head?.journalId ?? segments.at(-1)?.head.journalId,
      epoch: Math.max(segments.at(-1)?.head.epoch ?? 0, base.head?.epoch ?? 0),
    };
  }

  /** R4. Removes those that cannot be used from `snapshots`. */
  async #tellBase(segments: readonly Segment[], snapshots: number[]): Promise<Base> {
    for (let from = snapshots.at(-1); from !== undefined; from = snapshots.at(-1)) {
      const file = path.join(this.#folder, snapshotName(from));
      const handle = await this.#files.open(file, 'r');
      try {
        const content = await checkSnapshot(handle);
        if (typeof content !== 'string' && content.head.sequence === from)
          return await this.#tellSnapshot(handle, content, file);
        const why = typeof content === 'string' ? content : `its head says it begins at ${content.head.sequence}`;
        this.#damage ||= `${file}: ${why}`;
      } finally {
        await handle.close();
      }
      snapshots.pop();
      const aside = `${file}.damaged`;
      await this.#files.rename(file, aside);
      this.#log.error(
        { snapshot: file, aside, reason: this.#damage },
        'a snapshot is damaged: using the one before it',
      );
    }
    const first = segments[0]?.first ?? 1;
    if (first === 1 && (segments.length > 0 || this.#damage === '')) return SCRATCH;
    const missing = this.#damage === '' ? 'expected a snapshot, or a journal that begins at record 1' : this.#damage;
    throw corrupt(this.#folder, `record ${first}, byte 0`, `${missing}; nothing whole is left to begin with`); // R1
  }

  async #tellSnapshot(
    handle: Parameters<typeof readSnapshotRecords>[0],
    content: SnapshotContent,
    file: string,
  ): Promise<Base> {
    const fault = await readSnapshotRecords(handle, content, (payload) => this.#onRecord(payload, 0));
    if (fault !== '') throw corrupt(file, 'snapshot', fault);
    const { head, records, endSequence } = content;
    return { from: head.sequence, endSequence, isBaseline: (head.flags & BASELINE_FLAG) !== 0, head, records };
  }

  async #tellTail(
    segments: Segment[],
    base: Base,
  ): Promise<{ told: { journalRecords: number; cutBytes: number }; lastSequence: number }> {
    const begin = Math.max(
      0,
      segments.findLastIndex(({ first }) => first <= base.from),
    );
    let journalRecords = 0;
    let cutBytes = 0;
    const begun = segments[begin];
    if (begun !== undefined && begun.first > base.from) {
      throw corrupt(
        begun.path,
        `record ${base.from}, byte 0`,
        `expected a segment with record ${base.from}, the oldest begins here`,
      ); // R1
    }
    let next = begun?.first ?? base.from;
    for (let index = begin; index < segments.length; index++) {
      const segment = segments[index] as Segment;
      if (segment.first !== next) {
        throw corrupt(
          segment.path,
          `record ${next}, byte 0`,
          `expected a segment from record ${next} on, got one from ${segment.first} on`,
        ); // R1
      }
      const onRecord: OnRecord = (payload, sequence) => {
        if (sequence < base.from) return;
        journalRecords += 1;
        this.#onRecord(payload, sequence);
      };
      const isLast = index === segments.length - 1;
      const scanned = await this.#tellSegment(segment, isLast, onRecord);
      next = scanned.next;
      cutBytes = scanned.cutBytes;
    }
    if (next < base.from && base.isBaseline) next = base.from;
    if (next < base.from || next <= base.endSequence) {
      const file = segments.at(-1)?.path ?? this.#folder;
      const needed = Math.max(base.from - 1, base.endSequence);
      throw corrupt(
        file,
        `record ${next}, byte ${segments.at(-1)?.bytes ?? 0}`,
        `the journal ends here, and the snapshot needs it up to record ${needed}`,
      ); // R1
    }
    return { told: { journalRecords, cutBytes }, lastSequence: next - 1 };
  }

  async #tellSegment(
    segment: Segment,
    isLast: boolean,
    onRecord: OnRecord,
  ): Promise<{ next: number; cutBytes: number }> {
    const handle = await this.#files.open(segment.path, isLast ? 'r+' : 'r');
    try {
      const scan = new RecordScan(segment.seed, segment.first);
      await scanTo(handle, segment.bytes, scan, onRecord);
      const cutBytes = segment.bytes - scan.offset;
      if (cutBytes > 0) {
        const proof = isLast ? await findMark(handle, scan.offset + 1, segment.bytes, segment.seed) : segment.bytes;
        const place = `record ${scan.sequence}, byte ${scan.offset}`;
        const fault = scan.fault || 'expected a record';
        if (proof !== undefined) throw corrupt(segment.path, place, `${fault}, and it was whole on the disk once`); // R1
        const { path: file } = segment;
        this.#log.warn(
          { file, record: scan.sequence, offset: scan.offset, cutBytes, fault },
          'cut a torn end off the journal',
        );
        await handle.truncate(scan.offset); // R2
        segment.bytes = scan.offset;
      }
      if (isLast) await handle.datasync(); // R3
      return { next: scan.sequence, cutBytes };
    } finally {
      await handle.close();
    }
  }

  #requireOneJournal(segments: readonly Segment[], base: Base): void {
    // A journal that begins with a baseline had an empty segment of its own before.
    const heads = segments.flatMap(({ head, bytes }) => (base.isBaseline && bytes === HEAD_BYTES ? [] : [head]));
    let epoch = 0;
    for (const head of base.head === undefined ? heads : [...heads, base.head]) {
      const file = path.join(this.#folder, segmentName(head.sequence));
      if (!head.journalId.equals((heads[0] ?? head).journalId))
        throw corrupt(file, `record ${head.sequence}, byte 16`, 'it is a file of another journal');
      if (head === base.head) continue;
      if (head.epoch < epoch)
        throw corrupt(
          file,
          `record ${head.sequence}, byte 12`,
          `its epoch is ${head.epoch}, and a segment before it has ${epoch}`,
        );
      epoch = head.epoch;
    }
  }
}

function sequencesOf(names: readonly string[], kind: 'journal' | 'snapshot'): number[] {
  return names
    .map(parseName)
    .flatMap((parsed) => (parsed?.kind === kind ? [parsed.sequence] : []))
    .sort((a, b) => a - b);
}
