/**
 * How much we may send a peer, and the answers that wait until we may.
 *
 * A frame may be begun while anything is left, and may pass the window's end.
 *
 * S1: a peer never grants more than it was sent: what is left never passes what its HELLO allowed.
 * S2: a window larger than our own is used as far as our own goes: how much lies between two servers is no peer's choice.
 * S3: answers kept aside stay under REPLIES_HELD_BYTES_MAX, and go in the order they came, each in constant time.
 */
import { LINK_WINDOW_BYTES, REPLIES_HELD_BYTES_MAX } from '../constants.ts';
import { BoundedQueue } from '../queue/bounded-queue.ts';
import { FRAME_HEAD_BYTES } from './frame.ts';

/** Past it the bound in bytes has long been reached. */
const HELD_MAX = REPLIES_HELD_BYTES_MAX / FRAME_HEAD_BYTES;

export class SendWindow {
  readonly #held = new BoundedQueue<Buffer>(HELD_MAX);
  #bytesMax = 0;
  #bytesLeft = 0;
  #heldBytes = 0;

  /** The peer has greeted. @param windowBytes of its HELLO */
  begin(windowBytes: number): void {
    this.#bytesMax = Math.min(windowBytes, LINK_WINDOW_BYTES); // S2
    this.#bytesLeft = this.#bytesMax;
  }

  /** Whether a frame may be begun. */
  get open(): boolean {
    return this.#bytesLeft > 0;
  }

  /** Bytes of answers that wait. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A frame has been written. */
  spend(frameBytes: number): void {
    this.#bytesLeft -= frameBytes;
  }

  /** @returns false when the peer grants what it was never sent (S1) */
  grant(bytes: number): boolean {
    this.#bytesLeft += bytes;
    return this.#bytesLeft <= this.#bytesMax;
  }

  /** Keeps an answer aside. @param frame the window's to keep @returns false past the bound (S3) */
  hold(frame: Buffer): boolean {
    this.#heldBytes += frame.length;
    return this.#held.push(frame) && this.#heldBytes <= REPLIES_HELD_BYTES_MAX;
  }

  /** @returns the next answer that may go now, already counted, or undefined */
  nextHeld(): Buffer | undefined {
    if (this.#bytesLeft <= 0) return undefined;
    const frame = this.#held.shift();
    if (frame === undefined) return undefined;
    this.#heldBytes -= frame.length;
    this.#bytesLeft -= frame.length;
    return frame;
  }

  /** Lets go of what waits. */
  drop(): void {
    while (this.#held.shift() !== undefined);
    this.#heldBytes = 0;
  }
}
