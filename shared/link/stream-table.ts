/**
 * The streams of a link's client half: which request waits under which stream id.
 *
 * A stream id is a slot (low 16 bits) and the slot's generation (high 16 bits), so that a late answer to a request that
 * was given up never reaches the slot's next owner.
 */
import { LINK_STREAMS_MAX } from '../constants.ts';

/** @returns 0..LINK_STREAMS_MAX-1 */
export function slotOf(streamId: number): number {
  return streamId & 0xffff;
}

export class StreamTable<Owner> {
  readonly #owners: (Owner | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #freeSlots: number[] = [];
  #open = 0;

  /** Streams open now, 0..LINK_STREAMS_MAX. */
  get size(): number {
    return this.#open;
  }

  get full(): boolean {
    return this.#open >= LINK_STREAMS_MAX;
  }

  /** Only while not `full`. @returns the stream id */
  open(owner: Owner): number {
    const slot = this.#freeSlots.pop() ?? this.#owners.length;
    this.#owners[slot] = owner;
    const generation = ((this.#generations[slot] ?? 0) + 1) & 0xffff;
    this.#generations[slot] = generation;
    this.#open++;
    return ((generation << 16) | slot) >>> 0;
  }

  /** Ends a stream. @returns its owner, or undefined when it ended before */
  take(streamId: number): Owner | undefined {
    const slot = slotOf(streamId);
    const owner = this.#owners[slot];
    if (owner === undefined || this.#generations[slot] !== streamId >>> 16) return undefined;
    this.#owners[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#open--;
    return owner;
  }

  /** Of the streams open now. */
  ids(): number[] {
    return this.#owners.flatMap((owner, slot) =>
      owner === undefined ? [] : [(((this.#generations[slot] ?? 0) << 16) | slot) >>> 0],
    );
  }

  /** Ends every stream. @returns the owners they had */
  takeAll(): Owner[] {
    const owners = this.#owners.filter((owner) => owner !== undefined);
    this.#owners.length = 0;
    this.#generations.length = 0;
    this.#freeSlots.length = 0;
    this.#open = 0;
    return owners;
  }
}
