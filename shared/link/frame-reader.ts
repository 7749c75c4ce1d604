/**
 * Walks the frames of one message without copying them.
 *
 * R1: nothing outside the message is ever read: a frame that says it is longer than what is left is refused.
 * R2: the first refused frame ends the message; what came before it has been handed on.
 */
import type { ErrorCode } from '../errors.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE_MAX } from './frame.ts';

/** Told of each frame: it occupies `message[start..end)`; the callee keeps the buffer if it needs it longer. */
export type FrameListener = (type: number, message: Buffer, start: number, end: number) => void;

export interface FrameFault {
  readonly code: ErrorCode;
  readonly detail: string;
}

/**
 * @param message whole frames, one behind the other
 * @param frameBytesMax longest frame allowed here
 * @param goOn asked before each frame; false stops (the link closed while a frame was handled)
 * @returns what was wrong, or undefined when every frame was handed on
 */
export function readFrames(
  message: Buffer,
  frameBytesMax: number,
  onFrame: FrameListener,
  goOn: () => boolean,
): FrameFault | undefined {
  let at = 0;
  const messageBytes = message.length;
  if (messageBytes === 0)
    return { code: 'LINK_FRAME_INVALID', detail: 'expected at least one frame, got an empty message' };
  while (at < messageBytes && goOn()) {
    const bytesLeft = messageBytes - at;
    if (bytesLeft < FRAME_HEAD_BYTES) return truncated(`a head of ${FRAME_HEAD_BYTES} bytes`, bytesLeft, at); // R1
    const frameBytes = message.readUInt32LE(at);
    const type = message[at + 4] as number;
    if (frameBytes < FRAME_HEAD_BYTES || type === 0 || type > FRAME_TYPE_MAX) {
      const detail = `expected a frame of type 1..${FRAME_TYPE_MAX} and ≥ ${FRAME_HEAD_BYTES} bytes at offset ${at}, got type ${type} and ${frameBytes} bytes`;
      return { code: 'LINK_FRAME_INVALID', detail };
    }
    if (frameBytes > frameBytesMax) {
      const detail = `expected a frame of at most ${frameBytesMax} bytes, got one of ${frameBytes} at offset ${at}`;
      return { code: 'LINK_FRAME_TOO_LARGE', detail };
    }
    if (frameBytes > bytesLeft) return truncated(`${frameBytes} bytes of a frame`, bytesLeft, at); // R1
    onFrame(type, message, at, at + frameBytes);
    at += frameBytes;
  }
  return undefined; // R2
}

function truncated(expected: string, bytesLeft: number, at: number): FrameFault {
  return {
    code: 'LINK_FRAME_TRUNCATED',
    detail: `expected ${expected} at offset ${at}, got ${bytesLeft} bytes before the message ended`,
  };
}
