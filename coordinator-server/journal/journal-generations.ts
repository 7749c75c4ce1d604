/**
 * The files of a journal: its segments, and the snapshots they continue.
 *
 * N1: kept are the newest snapshot, the one before it, and every record after that one: should the newest be damaged, the
 *     other begins with a longer tail. Older files go.
 */
import path from 'node:path';
import { type JournalFiles, unlinkIfThere } from './journal-files.ts';
import { type Segment, snapshotName } from './segment-file.ts';

export class JournalGenerations {
  readonly #files: JournalFiles;
  readonly #folder: string;
  readonly #segments: Segment[];
  /** Ascending. */
  #snapshots: number[];

  constructor(files: JournalFiles, folder: string, segments: readonly Segment[], snapshots: readonly number[]) {
    this.#files = files;
    this.#folder = folder;
    this.#segments = [...segments];
    this.#snapshots = [...snapshots];
  }

  /** Of the oldest record that is kept. */
  get firstSequence(): number {
    return this.#segments[0]?.first ?? 1;
  }

  /** Sequence that the newest snapshot begins at; 0: there is none. */
  get newestSnapshot(): number {
    return this.#snapshots.at(-1) ?? 0;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** The one that has this record, or will; undefined: it was dropped. */
  segmentOf(sequence: number): Segment | undefined {
    return this.#segments.findLast(({ first }) => first <= sequence);
  }

  /** It takes the place of one of the same name, which has no records. */
  addSegment(segment: Segment): void {
    if (this.#segments.at(-1)?.first === segment.first) this.#segments.pop();
    this.#segments.push(segment);
  }

  /** It is on the disk. @param replacesAll no record before it is of use any more */
  async addSnapshot(fromSequence: number, replacesAll = false): Promise<void> {
    const others = this.#snapshots.filter((snapshot) => snapshot !== fromSequence);
    const kept = replacesAll ? [fromSequence] : [...others, fromSequence].sort((a, b) => a - b).slice(-2);
    const dropped = others.filter((snapshot) => !kept.includes(snapshot));
    this.#snapshots = kept;
    for (const snapshot of dropped) await unlinkIfThere(this.#files, path.join(this.#folder, snapshotName(snapshot)));
    if (kept.length === 2 || replacesAll) await this.dropBefore(kept[0] as number); // N1
  }

  /** Drops the segments that hold nothing from this record on. */
  async dropBefore(sequence: number): Promise<void> {
    const keptFrom = this.#segments.findLastIndex(({ first }) => first <= sequence);
    for (const segment of this.#segments.splice(0, Math.max(0, keptFrom)))
      await unlinkIfThere(this.#files, segment.path);
  }
}
