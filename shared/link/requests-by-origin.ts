/** The requests that a server works on, by the link and the stream they came on. */
import type { Link } from './link.ts';
import type { ReceivedRequest } from './received-request.ts';

export class RequestsByOrigin<Request extends ReceivedRequest> {
  readonly #byOrigin = new Map<Link, Map<number, Request>>();
  #size = 0;

  /** Requests taken and not yet answered. */
  get size(): number {
    return this.#size;
  }

  add(request: Request): void {
    let streams = this.#byOrigin.get(request.origin);
    if (streams === undefined) {
      streams = new Map();
      this.#byOrigin.set(request.origin, streams);
    }
    streams.set(request.originStreamId, request);
    this.#size++;
  }

  find(origin: Link, streamId: number): Request | undefined {
    return this.#byOrigin.get(origin)?.get(streamId);
  }

  /** Only for one that was added, once. */
  remove(request: Request): void {
    this.#byOrigin.get(request.origin)?.delete(request.originStreamId);
    this.#size--;
  }

  of(origin: Link): Request[] {
    return [...(this.#byOrigin.get(origin)?.values() ?? [])];
  }

  /** The link is gone, and all that came on it was removed before. */
  forget(origin: Link): void {
    this.#byOrigin.delete(origin);
  }
}
