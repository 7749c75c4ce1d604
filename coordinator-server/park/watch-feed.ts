/**
 * What one link's watches have to tell and have not told yet, and what of it may go now. Pure.
 *
 * V1: a client that does not take events up is sent no more than UNHEARD_CHARS_MAX of them.
 * V2: what waits for it stays under FEED_EVENTS_MAX and FEED_CHARS_MAX: past it the watch that has the most to tell ends.
 *     Content, which is as large as a domain may be, waits as the store's own nodes and is cut into parts as it goes.
 * V3: a part's `upTo` names only revisions of which everything has gone.
 */
import type { ParkEvent } from '../../shared/park/park-model.ts';
import type { EventBatch } from '../../shared/park/park-protocol.ts';
import type { WatchHandle } from '../store/park-store.ts';
import { PART_CHARS_MAX, PART_NODES_MAX, partOf } from './park-requests.ts';

/** What a store keeps of history may all be told at once, and as much again in the meantime. */
export const FEED_EVENTS_MAX = 400_000;
export const FEED_CHARS_MAX = 128 * 1024 * 1024;
/** Half of what a link lets wait before it takes its peer for one that does not read. */
export const UNHEARD_CHARS_MAX = 2 * 1024 * 1024;
/** Names, numbers and brackets of one event. */
const EVENT_CHARS = 400;
/** A quiet watch hears no more often that nothing has happened. */
export const PROGRESS_EVERY_MS = 1_000;

/** What waits on all links of a coordinator together. */
export interface FeedLedger {
  /** UTF-16 units. */
  chars: number;
  contentNodes: number;
}

/** An event that was sent and not let go of costs little; moving the others up costs as much as there are. */
const SENT_KEPT_MAX = 1_024;

/** One watch as the coordinator keeps it. */
export class FedWatch {
  readonly number: number;
  handle: WatchHandle | undefined;
  closed = false;
  /** Not sent; from `at` on. */
  events: ParkEvent[] = [];
  at = 0;
  /** Nodes of the first event, which is `content`, that have been sent. */
  contentAt = 0;
  /** Everything up to here is in `events`, or sent. */
  upTo: number;
  sentUpTo: number;
  chars = 0;
  progressAtMs = Number.NEGATIVE_INFINITY;
  queued = false;

  constructor(number: number, afterRevision: number) {
    this.number = number;
    this.upTo = afterRevision;
    this.sentUpTo = afterRevision;
  }

  get length(): number {
    return this.events.length - this.at;
  }
}

export class WatchFeed {
  readonly watches = new Map<number, FedWatch>();
  /** Have something to tell, in turn. */
  #queue: FedWatch[] = [];
  /** Of notices not heard yet, oldest first. */
  readonly #unheard: number[] = [];
  #unheardChars = 0;
  readonly #ledger: FeedLedger;
  #events = 0;
  #chars = 0;
  #contentNodes = 0;

  constructor(ledger: FeedLedger) {
    this.#ledger = ledger;
  }

  /** UTF-16 units that wait, without content. */
  get chars(): number {
    return this.#chars;
  }

  /** Nodes of content that wait. */
  get contentNodes(): number {
    return this.#contentNodes;
  }

  /** @returns a watch that has to end as too much waits (V2) */
  push(watch: FedWatch, events: readonly ParkEvent[], upTo: number, nowMs: number): FedWatch | undefined {
    if (watch.closed) return undefined;
    for (const event of events) {
      watch.events.push(event);
      const chars = charsOf(event);
      watch.chars += chars;
      this.#count(1, chars, nodesOf(event));
    }
    watch.upTo = Math.max(watch.upTo, upTo);
    if (events.length > 0) this.#enqueue(watch);
    else if (nowMs - watch.progressAtMs >= PROGRESS_EVERY_MS) {
      watch.progressAtMs = nowMs;
      this.#enqueue(watch);
    }
    return this.#events > FEED_EVENTS_MAX || this.#chars > FEED_CHARS_MAX ? this.greatest : undefined; // V2
  }

  /** The watch that has the most to tell. */
  get greatest(): FedWatch | undefined {
    let greatest: FedWatch | undefined;
    for (const watch of this.watches.values()) {
      if (
        greatest === undefined ||
        watch.length * EVENT_CHARS + watch.chars > greatest.length * EVENT_CHARS + greatest.chars
      )
        greatest = watch;
    }
    return greatest;
  }

  /** Ends a watch: what waits for it is dropped. */
  remove(watch: FedWatch): void {
    watch.closed = true;
    watch.handle?.close();
    if (this.watches.get(watch.number) === watch) this.watches.delete(watch.number);
    const contentNodes = watch.events.slice(watch.at).reduce((sum, event) => sum + nodesOf(event), 0);
    this.#count(-watch.length, -watch.chars, watch.contentAt - contentNodes);
    watch.contentAt = 0;
    watch.events = [];
    watch.at = 0;
    watch.chars = 0;
  }

  /** The client took up so many notices. @returns false when it was not sent as many */
  heard(count: number): boolean {
    if (count > this.#unheard.length) return false;
    for (const chars of this.#unheard.splice(0, count)) this.#unheardChars -= chars;
    return true;
  }

  /** Whether something waits that may go now (V1). */
  get sendable(): boolean {
    return this.#queue.length > 0 && this.#unheardChars < UNHEARD_CHARS_MAX;
  }

  /** @returns the batches of the next notice, each watch in its turn; none when there is nothing to tell */
  next(): readonly EventBatch[] {
    const batches: EventBatch[] = [];
    let chars = 0;
    let events = 0;
    while (this.#queue.length > 0 && chars < PART_CHARS_MAX && events < PART_NODES_MAX) {
      const watch = this.#queue[0] as FedWatch;
      if (!watch.closed) {
        const part = this.#partOf(watch, PART_CHARS_MAX - chars, PART_NODES_MAX - events, batches.length === 0);
        if (part === undefined) break;
        batches.push(part.batch);
        chars += part.chars + EVENT_CHARS;
        events += part.nodes;
      }
      this.#queue.shift();
      watch.queued = false;
      if (!watch.closed && watch.length > 0) this.#enqueue(watch);
    }
    if (batches.length === 0) return batches;
    this.#unheard.push(chars);
    this.#unheardChars += chars;
    return batches;
  }

  #enqueue(watch: FedWatch): void {
    if (watch.queued) return;
    watch.queued = true;
    this.#queue.push(watch);
  }

  /** @returns undefined when nothing of it fits behind what is in the notice */
  #partOf(
    watch: FedWatch,
    charsMax: number,
    eventsMax: number,
    first: boolean,
  ): { readonly batch: EventBatch; readonly chars: number; readonly nodes: number } | undefined {
    const events: ParkEvent[] = [];
    let chars = 0;
    let nodes = 0;
    while (watch.length > 0) {
      const event = watch.events[watch.at] as ParkEvent;
      const cost = event.kind === 'content' ? 0 : charsOf(event);
      const alone = first && events.length === 0;
      if (!alone && (event.kind === 'content' || chars + cost > charsMax || nodes >= eventsMax)) break;
      if (event.kind === 'content') {
        const count = partOf(event.nodes, watch.contentAt);
        const part = event.nodes.slice(watch.contentAt, watch.contentAt + count);
        events.push({ kind: 'content', revision: event.revision, nodes: part });
        for (const { value } of part) chars += value.length;
        nodes += count + 1;
        watch.contentAt += count;
        this.#count(0, 0, -count);
        if (watch.contentAt >= event.nodes.length) this.#taken(watch, cost);
        break;
      }
      events.push(event);
      chars += cost;
      nodes++;
      this.#taken(watch, cost);
    }
    if (events.length === 0 && watch.length > 0) return undefined;
    this.#advance(watch, events.at(-1));
    return { batch: { watch: watch.number, events, upTo: watch.sentUpTo }, chars: chars + nodes * EVENT_CHARS, nodes };
  }

  /** V3 */
  #advance(watch: FedWatch, last: ParkEvent | undefined): void {
    const next = watch.events[watch.at];
    if (next === undefined) {
      watch.events = [];
      watch.at = 0;
      watch.sentUpTo = watch.upTo;
    } else if (last !== undefined && next.revision > last.revision)
      watch.sentUpTo = Math.max(watch.sentUpTo, Math.min(last.revision, watch.upTo));
    else if (last !== undefined) watch.sentUpTo = Math.max(watch.sentUpTo, Math.min(last.revision - 1, watch.upTo));
  }

  #taken(watch: FedWatch, chars: number): void {
    watch.at++;
    watch.contentAt = 0;
    watch.chars -= chars;
    this.#count(-1, -chars, 0);
    if (watch.at < SENT_KEPT_MAX || watch.at < watch.length) return;
    watch.events.splice(0, watch.at);
    watch.at = 0;
  }

  #count(events: number, chars: number, contentNodes: number): void {
    this.#events += events;
    this.#chars += chars;
    this.#contentNodes += contentNodes;
    this.#ledger.chars += chars;
    this.#ledger.contentNodes += contentNodes;
  }
}

function nodesOf(event: ParkEvent): number {
  return event.kind === 'content' ? event.nodes.length : 0;
}

/** Of content nothing: it is counted in nodes, see V2. */
function charsOf(event: ParkEvent): number {
  return event.kind === 'put' ? event.node.value.length : 0;
}
