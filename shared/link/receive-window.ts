/**
 * How much a peer may send us: counts what has come and was not taken up, and says when to grant more.
 *
 * A grant is saved up to a quarter of the window, so that it costs one small frame per few hundred requests.
 */
import { LINK_WINDOW_BYTES } from '../constants.ts';

const GRANT_BYTES_MIN = LINK_WINDOW_BYTES / 4;

export class ReceiveWindow {
  readonly #bytesMax: number;
  #unreleasedBytes = 0;
  #grantableBytes = 0;

  /** @param frameBytesMax one frame may pass the window's end: a sender looks at it before a frame, not in the middle */
  constructor(frameBytesMax: number) {
    this.#bytesMax = LINK_WINDOW_BYTES + frameBytesMax;
  }

  /** Bytes that have come and were not taken up. */
  get unreleasedBytes(): number {
    return this.#unreleasedBytes;
  }

  /** @returns false when the peer sent more than it was granted */
  received(frameBytes: number): boolean {
    this.#unreleasedBytes += frameBytes;
    return this.#unreleasedBytes <= this.#bytesMax;
  }

  /** @returns bytes to grant now, or 0 */
  released(frameBytes: number): number {
    this.#unreleasedBytes -= frameBytes;
    this.#grantableBytes += frameBytes;
    if (this.#grantableBytes < GRANT_BYTES_MIN) return 0;
    const granted = this.#grantableBytes;
    this.#grantableBytes = 0;
    return granted;
  }
}
