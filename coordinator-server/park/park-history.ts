/**
 * The latest changes of content, for watchers that come back and for those that are told now. Pure.
 *
 * G1: whatever changed after `compactedRevision` is here, in the order of revisions; nothing older is.
 * G2: at most PARK_LIMITS.historyEventsMax changes and historyBytesMax of values are kept; beyond, the oldest half goes.
 */
import { PARK_LIMITS } from '../../shared/park/park-model.ts';
import type { NodeRecord } from './park-rules.ts';

export interface ContentChange {
  readonly revision: number;
  readonly domain: string;
  readonly node: string;
  /** undefined: removed. */
  readonly record: NodeRecord | undefined;
}

export interface HistoryLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

export class ParkHistory {
  readonly #limits: HistoryLimits;
  #changes: ContentChange[] = [];
  #bytes = 0;
  #compactedRevision = 0;

  constructor(
    limits: HistoryLimits = { eventsMax: PARK_LIMITS.historyEventsMax, bytesMax: PARK_LIMITS.historyBytesMax },
  ) {
    this.#limits = limits;
  }

  /** Changes of this revision and before are not all here. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  /** @param change of a revision not below any before */
  add(change: ContentChange): void {
    this.#changes.push(change);
    this.#bytes += bytesOf(change);
    if (this.#changes.length > this.#limits.eventsMax || this.#bytes > this.#limits.bytesMax) this.#dropOldest(); // G2
  }

  /** Nothing of this revision and before is told any more. */
  compact(revision: number): void {
    if (revision <= this.#compactedRevision) return;
    const from = this.#indexAfter(revision);
    for (let index = 0; index < from; index++) this.#bytes -= bytesOf(this.#changes[index] as ContentChange);
    this.#changes = this.#changes.slice(from);
    this.#compactedRevision = revision; // G1
  }

  /** @param revision not below `compactedRevision` @returns what changed in the domain after it, in order */
  *after(revision: number, domain: string): IterableIterator<ContentChange> {
    for (let index = this.#indexAfter(revision); index < this.#changes.length; index++) {
      const change = this.#changes[index] as ContentChange;
      if (change.domain === domain) yield change;
    }
  }

  #dropOldest(): void {
    const middle = this.#changes[Math.floor(this.#changes.length / 2)] as ContentChange;
    this.compact(middle.revision); // a revision goes or stays as a whole
  }

  /** Index of the first change after a revision. */
  #indexAfter(revision: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle] as ContentChange).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** About: an object and its names, beside the value. */
const CHANGE_BYTES = 200;

function bytesOf({ record }: ContentChange): number {
  return CHANGE_BYTES + (record?.value.length ?? 0);
}
