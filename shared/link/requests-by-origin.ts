/**
 * The requests that a server works on, by the link and the stream they came on.
 *
 * O1: a stream id is a slot and the slot's generation (stream-table.ts), so a slot finds a request without hashing. Of
 *     two requests with one slot, which no sound peer sends, the older one is answered but can no longer be cancelled.
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

  add(request: Request): void {
    let slots = this.#byOrigin.get(request.origin);
    if (slots === undefined) {
      slots = [];
      this.#byOrigin.set(request.origin, slots);
    }
    slots[slotOf(request.originStreamId)] = request; // O1
    request.originSlots = slots;
    this.#size++;
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
