/**
 * The watches of one client of the park: asked for anew over every connection, each from where it is.
 *
 * W1: a listener is told each revision once, whole, in order: what is at or below the watch's position has been told,
 *     what is above what the coordinator says is complete waits. So neither a lost connection nor a coordinator that
 *     is behind makes a watch skip, repeat or go back.
 * W2: a listener that throws costs a log line, not the watch.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { type PlatformError, toPlatformError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ParkWatch } from './park.ts';
import { servedElsewhere } from './park-calls.ts';
import type { Asker, ParkChannel } from './park-channel.ts';
import type { ParkEvent, ParkNode } from './park-model.ts';
import type { EventBatch, WatchEnd } from './park-protocol.ts';

/** Pause before a watch that was refused or ended is asked for again: the coordinator has too much to do. */
export const REWATCH_MS = 100;

/** No position yet: whatever comes is new. */
const NOWHERE = -1;

export interface ParkWatchesOptions {
  readonly channel: ParkChannel;
  readonly clock: Clock;
  readonly log: Logger;
  /** The coordinator does not serve. */
  readonly leave: (why: string) => void;
}

export interface WatchFields {
  readonly domain: string;
  /** '' for the whole domain. */
  readonly node: string;
  /** 0: begins with `content`. */
  readonly afterRevision: number;
  /** Returns false to end the watch. */
  readonly listener: (event: ParkEvent) => unknown;
}

class Watching {
  readonly fields: WatchFields;
  readonly number: number;
  /** Everything up to here has been told. */
  position: number;
  asked = false;
  closed = false;
  /** Come, and not complete. */
  held: ParkEvent[] = [];

  constructor(number: number, fields: WatchFields) {
    this.number = number;
    this.fields = fields;
    this.position = fields.afterRevision > 0 ? fields.afterRevision : NOWHERE;
  }
}

export class ParkWatches {
  readonly #options: ParkWatchesOptions;
  readonly #watches = new Map<number, Watching>();
  #numbers = 0;
  #retry: TimerHandle | undefined;

  constructor(options: ParkWatchesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#watches.size;
  }

  watch(fields: WatchFields): ParkWatch {
    const watching = new Watching(++this.#numbers, fields);
    this.#watches.set(watching.number, watching);
    this.#ask(watching);
    return { close: () => this.#close(watching) };
  }

  onUp(): void {
    this.#askAll();
  }

  onDown(): void {
    for (const watching of this.#watches.values()) forget(watching);
  }

  onRoom(): void {
    this.#askAll();
  }

  onEvents(batches: readonly EventBatch[]): void {
    for (const batch of batches) {
      const watching = this.#watches.get(batch.watch);
      if (watching?.asked === true) this.#take(watching, batch);
    }
  }

  onEnded({ watch, reason }: WatchEnd): void {
    const watching = this.#watches.get(watch);
    if (watching?.asked === true) this.#refused(watching, reason);
  }

  close(): void {
    this.#retry?.cancel();
    for (const watching of this.#watches.values()) watching.closed = true;
    this.#watches.clear();
  }

  #askAll(): void {
    for (const watching of this.#watches.values()) if (!watching.asked && !this.#ask(watching)) return;
  }

  #ask(watching: Watching): boolean {
    const { number, fields, position } = watching;
    const asker: Asker = {
      onAnswer: () => {},
      onError: (error) => this.#refused(watching, error),
      onLost: () => {}, // onDown
    };
    const after = Math.max(0, position);
    const request = { op: 'watch', watch: number, domain: fields.domain, node: fields.node, after } as const;
    watching.asked = true; // events may come before `ask` returns
    if (this.#options.channel.ask(request, asker) !== undefined) return true;
    watching.asked = false;
    return false;
  }

  #refused(watching: Watching, error: PlatformError): void {
    const { clock, log, leave } = this.#options;
    forget(watching);
    if (watching.closed) return;
    if (servedElsewhere(error)) return leave(error.message);
    const { domain, node } = watching.fields;
    if (!error.retryable) {
      log.error({ domain, node, reason: error.message }, 'watch of the park ended: it cannot be');
      this.#close(watching);
      return;
    }
    log.info({ domain, node, reason: error.message }, 'watch of the park interrupted, asked for again');
    this.#retry?.cancel();
    this.#retry = clock.after(REWATCH_MS, () => this.#askAll());
  }

  /** W1 */
  #take(watching: Watching, { events, upTo }: EventBatch): void {
    const all = watching.held.length === 0 ? events : [...watching.held, ...events];
    const told = watching.position;
    const complete = all.filter(({ revision }) => revision <= upTo);
    watching.held = complete.length === all.length ? [] : all.filter(({ revision }) => revision > upTo);
    for (const event of joined(complete)) if (event.revision > told) this.#tell(watching, event);
    if (upTo > watching.position) watching.position = upTo;
  }

  #tell(watching: Watching, event: ParkEvent): void {
    if (watching.closed) return;
    try {
      if (watching.fields.listener(event) === false) this.#close(watching);
    } catch (thrown) {
      const { domain, node } = watching.fields;
      this.#options.log.error({ err: toPlatformError(thrown), domain, node }, 'listener of a watch has thrown'); // W2
    }
  }

  #close(watching: Watching): void {
    if (watching.closed) return;
    watching.closed = true;
    this.#watches.delete(watching.number);
    if (!watching.asked) return;
    const asker: Asker = { onAnswer: () => {}, onError: () => {}, onLost: () => {} };
    // Should it not go for want of room: events of a watch that nobody has are dropped until the connection ends.
    this.#options.channel.ask({ op: 'unwatch', watch: watching.number }, asker);
  }
}

function forget(watching: Watching): void {
  watching.asked = false;
  watching.held = [];
}

/** Content comes in parts of the same revision. */
function joined(events: readonly ParkEvent[]): readonly ParkEvent[] {
  if (!events.some(({ kind }) => kind === 'content')) return events;
  const whole: ParkEvent[] = [];
  let nodes: ParkNode[] | undefined;
  for (const event of events) {
    const last = whole.at(-1);
    if (
      event.kind === 'content' &&
      last?.kind === 'content' &&
      last.revision === event.revision &&
      nodes !== undefined
    ) {
      for (const node of event.nodes) nodes.push(node);
      continue;
    }
    if (event.kind !== 'content') whole.push(event);
    else {
      nodes = [...event.nodes];
      whole.push({ ...event, nodes });
    }
  }
  return whole;
}
