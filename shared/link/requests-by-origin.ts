/**
 * The requests that a server works on, by the link and the stream they came on.
 *
 * O1: a stream id is a slot and the slot's generation (stream-table.ts), so a slot finds a request without hashing.
 */
import type { Link } from './link.ts';
import type { ReceivedRequest } from './received-request.ts';
import { slotOf } from './stream-table.ts';

export class RequestsByOrigin<Request extends ReceivedRequest> {
  readonly #byOrigin = new Map<Link, (Request | undefined)[]>();
  #size = 0;

  /** Requests taken and not yet answered. */
  get size(): number {
    return this.#size;
  }

  /** @returns false, and takes nothing, when the slot is taken: no sound peer uses one before it is free (O1) */
  add(request: Request): boolean {
    let slots = this.#byOrigin.get(request.origin);
    if (slots === undefined) {
      slots = [];
      this.#byOrigin.set(request.origin, slots);
    }
    const slot = slotOf(request.originStreamId);
    if (slots[slot] !== undefined) return false;
    slots[slot] = request;
    request.originSlots = slots;
    this.#size++;
    return true;
  }

  find(origin: Link, streamId: number): Request | undefined {
    const request = this.#byOrigin.get(origin)?.[slotOf(streamId)];
    return request?.originStreamId === streamId ? request : undefined;
  }

  /** Only for one that was added, once. */
  remove(request: Request): void {
    this.#size--;
    const slots = request.originSlots;
    const slot = slotOf(request.originStreamId);
    if (slots?.[slot] === request) slots[slot] = undefined;
  }

  of(origin: Link): Request[] {
    return (this.#byOrigin.get(origin) ?? []).filter((request) => request !== undefined);
  }

  /** The link is gone, and all that came on it was removed before. */
  forget(origin: Link): void {
    this.#byOrigin.delete(origin);
  }
}
