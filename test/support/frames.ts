/** Frames made and read by hand, so that tests do not take the code under test for its own witness. */
export interface FrameParts {
  readonly type: number;
  readonly flags?: number;
  readonly code?: number;
  readonly streamId?: number;
  readonly amount?: number;
  readonly payload?: Uint8Array | string;
}

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly code: number;
  readonly streamId: number;
  readonly amount: number;
  readonly payload: Buffer;
}

const HEAD_BYTES = 16;

export function frameOf(parts: FrameParts): Buffer {
  const payload = typeof parts.payload === 'string' ? Buffer.from(parts.payload) : (parts.payload ?? Buffer.alloc(0));
  const frame = Buffer.alloc(HEAD_BYTES + payload.length);
  frame.writeUInt32LE(frame.length, 0);
  frame[4] = parts.type;
  frame[5] = parts.flags ?? 0;
  frame.writeUInt16LE(parts.code ?? 0, 6);
  frame.writeUInt32LE(parts.streamId ?? 0, 8);
  frame.writeUInt32LE(parts.amount ?? 0, 12);
  frame.set(payload, HEAD_BYTES);
  return frame;
}

/** @param message whole frames, one behind the other */
export function framesIn(message: Buffer): SeenFrame[] {
  const frames: SeenFrame[] = [];
  for (let at = 0; at < message.length; ) {
    const frameBytes = message.readUInt32LE(at);
    frames.push({
      type: message[at + 4] as number,
      flags: message[at + 5] as number,
      code: message.readUInt16LE(at + 6),
      streamId: message.readUInt32LE(at + 8),
      amount: message.readUInt32LE(at + 12),
      payload: message.subarray(at + HEAD_BYTES, at + frameBytes),
    });
    at += frameBytes;
  }
  return frames;
}
