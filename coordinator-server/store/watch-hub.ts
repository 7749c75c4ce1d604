/**
 * Who watches what, and the telling of changes to them.
 *
 * A1: a watch hears each change of content after the revision it began at, in order, once: what it is told begins
 *     above its own position, which only grows.
 * A2: a watch that ended, by its watcher or by itself, hears nothing more.
 * A3: quiet watches are told how far all has been told, so that they can go on from there while history lasts.
 */
import { PlatformError } from '../../shared/errors.ts';
import { PARK_LIMITS, type ParkEvent } from '../../shared/park/park-model.ts';
import type { WatchHandle, WatchRequest, WatchSink } from './park-store.ts';

interface Watch {
  readonly domain: string;
  /** '' for the whole domain. */
  readonly node: string;
  readonly sink: WatchSink;
  /** Everything up to here has been told, or is none of its business. */
  toldRevision: number;
  /** To be told at the end of this telling. */
  waiting: ParkEvent[];
}

/** A change, and the event that tells it: made when somebody is there to hear it. */
export interface Telling {
  readonly revision: number;
  readonly domain: string;
  readonly node: string;
  event(): ParkEvent;
}

export class WatchHub {
  readonly #byDomain = new Map<string, Set<Watch>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @throws PlatformError PARK_LIMIT */
  requireRoom(): void {
    if (this.#size < PARK_LIMITS.watchesMax) return;
    const detail = `expected at most ${PARK_LIMITS.watchesMax} watches on one coordinator, there are so many: watch a domain instead of each of its nodes`;
    throw new PlatformError('PARK_LIMIT', detail);
  }

  /** @param toldRevision what comes after it is told */
  add(request: WatchRequest, sink: WatchSink, toldRevision: number): WatchHandle {
    const { domain, node } = request;
    const watch: Watch = { domain, node, sink, toldRevision, waiting: [] };
    const known = this.#byDomain.get(domain);
    if (known === undefined) this.#byDomain.set(domain, new Set([watch]));
    else known.add(watch);
    this.#size += 1;
    return { close: () => this.#remove(watch) };
  }

  /** Whether telling of this domain reaches anybody. */
  watches(domain: string): boolean {
    return this.#byDomain.has(domain);
  }

  /** @param tellings in the order of revisions @param upTo nothing below or at it is told later */
  tell(tellings: readonly Telling[], upTo: number): void {
    const reached = new Set<Watch>();
    for (const telling of tellings) {
      const watches = this.#byDomain.get(telling.domain);
      if (watches === undefined) continue;
      let event: ParkEvent | undefined;
      for (const watch of watches) {
        if (telling.revision <= watch.toldRevision || (watch.node !== '' && watch.node !== telling.node)) continue; // A1
        event ??= telling.event();
        watch.waiting.push(event);
        reached.add(watch);
      }
    }
    for (const watch of reached) this.#hand(watch, upTo);
  }

  /** A3 */
  progress(upTo: number): void {
    for (const watches of this.#byDomain.values())
      for (const watch of [...watches]) if (watch.toldRevision < upTo) this.#hand(watch, upTo);
  }

  /** Ends all of them; watchers may begin again. */
  endAll(reason: Error): void {
    for (const watches of [...this.#byDomain.values()]) {
      for (const watch of [...watches]) {
        this.#remove(watch);
        watch.sink.onEnd(reason);
      }
    }
  }

  #hand(watch: Watch, upTo: number): void {
    const events = watch.waiting;
    watch.waiting = [];
    watch.toldRevision = Math.max(watch.toldRevision, upTo);
    if (this.#byDomain.get(watch.domain)?.has(watch) === true) watch.sink.onEvents(events, watch.toldRevision); // A2
  }

  #remove(watch: Watch): void {
    const watches = this.#byDomain.get(watch.domain);
    if (watches?.delete(watch) !== true) return;
    this.#size -= 1;
    if (watches.size === 0) this.#byDomain.delete(watch.domain);
  }
}
