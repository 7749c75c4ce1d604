/**
 * Frames: what travels on a link. A WebSocket message holds one or more whole frames, nothing else.
 *
 * Every frame begins with this head, little-endian (PROTOCOL.md tells the rest byte by byte):
 *
 * | offset | size | field      | meaning                                                                          |
 * |--------|------|------------|----------------------------------------------------------------------------------|
 * | 0      | u32  | frameBytes | the whole frame, this head included                                              |
 * | 4      | u8   | type       | FRAME_TYPE                                                                       |
 * | 5      | u8   | flags      | REQUEST: index of the request class; PONG: 1 while draining; ERROR: 1 when an earlier try was lost; others: 0                                  |
 * | 6      | u16  | code       | HELLO, AUTH: protocol version; REPLY: HTTP status; ERROR: wire number; NOTICE: topic bytes |
 * | 8      | u32  | streamId   | request this belongs to; 0 for frames about the link itself                      |
 * | 12     | u32  | amount     | REQUEST: ms left; ERROR: retry after ms; WINDOW: bytes granted; PING, PONG: sequence |
 */
import { FRAME_BYTES_MAX } from '../constants.ts';

export const FRAME_HEAD_BYTES = 16;

export const FRAME_TYPE = {
  HELLO: 1,
  AUTH: 2,
  REQUEST: 3,
  REPLY: 4,
  ERROR: 5,
  CANCEL: 6,
  PING: 7,
  PONG: 8,
  WINDOW: 9,
  DRAIN: 10,
  NOTICE: 11,
} as const;

export const FRAME_TYPE_MAX = 11;

/** Raised with every change of any byte's meaning. Peers of another version are refused: LINK_VERSION_MISMATCH. */
export const PROTOCOL_VERSION = 1;

/**
 * Packs frames one behind the other into one buffer that is sent as one message.
 *
 * F1: what is in the buffer is always whole frames, up to the frame that is being written.
 * F2: the buffer grows to hold one frame of any allowed size, and shrinks back when it is emptied.
 */
export class FrameWriter {
  buffer: Buffer;
  view: DataView;
  /** Where the next byte goes. */
  at = 0;
  #frameAt = 0;
  readonly #initialBytes: number;

  constructor(initialBytes: number) {
    this.#initialBytes = initialBytes;
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.view = new DataView(this.buffer.buffer, 0, initialBytes);
  }

  /** Makes room for at least `byteCount` more bytes (F2). */
  reserve(byteCount: number): void {
    const needed = this.at + byteCount;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
    this.view = new DataView(grown.buffer, 0, grown.length);
  }

  /** Starts a frame; its length is filled in by endFrame. The caller has reserved the room. */
  beginFrame(type: number, flags: number, code: number, streamId: number, amount: number): void {
    const at = this.at;
    this.#frameAt = at;
    const view = this.view;
    view.setUint8(at + 4, type);
    view.setUint8(at + 5, flags);
    view.setUint16(at + 6, code, true);
    view.setUint32(at + 8, streamId, true);
    view.setUint32(at + 12, amount, true);
    this.at = at + FRAME_HEAD_BYTES;
  }

  /** @returns bytes of the frame just ended (F1) */
  endFrame(): number {
    const frameBytes = this.at - this.#frameAt;
    this.view.setUint32(this.#frameAt, frameBytes, true);
    return frameBytes;
  }

  /** Takes the frame being written back. */
  abandonFrame(): void {
    this.at = this.#frameAt;
  }

  /** What has been packed; valid until the next write. */
  packed(): Buffer {
    return this.buffer.subarray(0, this.at);
  }

  clear(): void {
    this.at = 0;
    if (this.buffer.length > this.#initialBytes * 4) {
      this.buffer = Buffer.allocUnsafeSlow(this.#initialBytes);
      this.view = new DataView(this.buffer.buffer, 0, this.#initialBytes);
    }
  }
}

/** Below this a loop beats the call into the runtime: some 20 ns, in which it copies 30 bytes or writes 12 characters. */
const SHORT_BYTES = 30;
const SHORT_TEXT = 12;

/** Copies `source[start..end)` to `target[at…]`. @returns where the copy ends */
export function copyBytes(target: Buffer, at: number, source: Buffer, start: number, end: number): number {
  if (end - start > SHORT_BYTES) return at + source.copy(target, at, start, end);
  let to = at;
  for (let from = start; from < end; from++) target[to++] = source[from] as number;
  return to;
}

/** Writes ASCII. @param text no character above 0x7f @returns where it ends */
export function writeAscii(target: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length > SHORT_TEXT) return at + target.write(text, at, 'latin1');
  for (let index = 0; index < length; index++) target[at + index] = text.charCodeAt(index);
  return at + length;
}

/** Frame length allowed on a link whose requests may have bodies of `bodyBytesMax`. */
export function frameBytesMaxFor(bodyBytesMax: number, envelopeBytesMax: number): number {
  return Math.min(FRAME_BYTES_MAX, bodyBytesMax + envelopeBytesMax);
}
