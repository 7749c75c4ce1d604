/**
 * Requests that wait for a scanner: one bounded ring per request class.
 *
 * Q1: a class never holds more than its capacity, in requests and in bytes; past it the caller is told at once.
 * Q2: of a class at most `concurrency` requests are out (handed on and not yet released) at any time.
 */
import type { QueueClassConfig } from '../config/cluster-schema.ts';
import { BoundedQueue } from './bounded-queue.ts';
import { type ClassView, type QueuePolicy, weightedTurns } from './queue-policy.ts';

/** What a queue needs to know of a request. */
export interface Queueable {
  /** Index of its class; one that does not exist counts as the first. */
  readonly requestClass: number;
  readonly queueBytes: number;
  /** Kept by the queue: where it was taken from and counts as out, whatever the classes are by its release (Q2). */
  takenFrom: QueueSeat | undefined;
}

/** A class of a queue, as its requests know it. */
export interface QueueSeat {
  out: number;
  /** Set when the class is gone: the one that took over what it had out. */
  heir: QueueSeat | undefined;
}

/** A class, for those who judge before they push. */
export interface QueueClass {
  readonly waiting: { readonly length: number };
  readonly out: number;
  readonly concurrency: number;
  readonly waitMsMax: number;
  /** Requests refused, also by whoever judged before the push. */
  refused: number;
}

class ClassQueue<Item> implements ClassView, QueueSeat, QueueClass {
  readonly name: string;
  readonly waiting: BoundedQueue<Item>;
  weight: number;
  capacity: number;
  capacityBytes: number;
  concurrency: number;
  waitMsMax: number;
  bytes = 0;
  out = 0;
  heir: QueueSeat | undefined;
  refused = 0;

  constructor(name: string, config: QueueClassConfig) {
    this.name = name;
    this.waiting = new BoundedQueue(RING_SLOTS_MAX);
    this.weight = config.weight;
    this.capacity = config.capacity;
    this.capacityBytes = config.capacityBytes;
    this.concurrency = config.concurrency;
    this.waitMsMax = config.waitMsMax;
  }

  get eligible(): boolean {
    return this.waiting.length > 0 && this.out < this.concurrency; // Q2
  }
}

/** The largest capacity a config may give; the class's own capacity is what counts (Q1). */
const RING_SLOTS_MAX = 1_000_000;

export interface ClassDepth {
  readonly name: string;
  readonly waiting: number;
  readonly bytes: number;
  readonly out: number;
  readonly refused: number;
}

export class RequestQueue<Item extends Queueable> {
  #classes: ClassQueue<Item>[] = [];
  readonly #policy: QueuePolicy;
  #waiting = 0;
  #out = 0;

  constructor(classes: Readonly<Record<string, QueueClassConfig>>, policy: QueuePolicy = weightedTurns()) {
    this.#policy = policy;
    this.configure(classes);
  }

  /** Takes over new settings live. Classes are matched by position, as peers know them by their index. */
  configure(classes: Readonly<Record<string, QueueClassConfig>>): void {
    const next = Object.entries(classes).map(([name, config], index) => {
      const known = this.#classes[index];
      if (known === undefined || known.name !== name) return new ClassQueue<Item>(name, config);
      return Object.assign(known, config);
    });
    for (const [index, old] of this.#classes.entries()) {
      if (next[index] === old) continue;
      const heir = next[index] ?? (next[0] as ClassQueue<Item>);
      for (let item = old.waiting.shift(); item !== undefined; item = old.waiting.shift()) {
        heir.waiting.push(item);
        heir.bytes += item.queueBytes;
      }
      heir.out += old.out;
      old.heir = heir;
    }
    this.#classes = next;
  }

  /** @returns false when the class is full (Q1) */
  push(item: Item): boolean {
    const queue = this.#classOf(item);
    if (queue.waiting.length >= queue.capacity || queue.bytes + item.queueBytes > queue.capacityBytes) {
      queue.refused++;
      return false;
    }
    queue.waiting.push(item);
    queue.bytes += item.queueBytes;
    this.#waiting++;
    return true;
  }

  /** Takes the next request by policy; it counts as out until `release`. */
  take(): Item | undefined {
    if (this.#waiting === 0) return undefined;
    const index = this.#policy.next(this.#classes);
    if (index === -1) return undefined;
    const queue = this.#classes[index] as ClassQueue<Item>;
    const item = queue.waiting.shift() as Item;
    queue.bytes -= item.queueBytes;
    queue.out++;
    item.takenFrom = queue;
    this.#waiting--;
    this.#out++;
    return item;
  }

  /** A request that was taken is done with. */
  release(item: Item): void {
    let seat = item.takenFrom as QueueSeat;
    while (seat.heir !== undefined) seat = seat.heir;
    seat.out--;
    item.takenFrom = undefined;
    this.#out--;
  }

  /** Requests waiting, over all classes. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Requests taken and not yet released, over all classes. */
  get out(): number {
    return this.#out;
  }

  depths(): ClassDepth[] {
    return this.#classes.map(({ name, waiting, bytes, out, refused }) => ({
      name,
      waiting: waiting.length,
      bytes,
      out,
      refused,
    }));
  }

  /** The class a request waits in, or would. */
  classOf(item: Item): QueueClass {
    return this.#classOf(item);
  }

  #classOf(item: Item): ClassQueue<Item> {
    return (this.#classes[item.requestClass] ?? this.#classes[0]) as ClassQueue<Item>;
  }
}
