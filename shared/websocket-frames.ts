/**
 * WebSocket frames (RFC 6455 § 5) as the client half of a link needs them: whole binary messages, masked on the way
 * out; PING, PONG and CLOSE. A fragmented message, text or an extension is a fault: links have none of them.
 *
 * Its own file and not a library's: one link carries thousands of requests a second, and every stream, event and copy
 * between the socket and the link is paid by each of its messages (docs/performance.md).
 *
 * B1: a message that lies whole in what the socket read is handed on where it lies; a longer one is copied once.
 * B2: nothing is kept but the head of a frame or one message that is not through yet, at most `messageBytesMax`.
 * B3: after a fault nothing more is handed on.
 */
import { systemRandom } from './random.ts';

export const OPCODE = { TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

const FINAL = 0x80;
const RESERVED_BITS = 0x70;
const OPCODE_BITS = 0x0f;
const MASKED = 0x80;
const LENGTH_BITS = 0x7f;
/** Lengths that say: the next 2, or 8, bytes are the length. */
const LENGTH_IN_2 = 126;
const LENGTH_IN_8 = 127;
const CONTROL_BYTES_MAX = 125;

/** Close codes of RFC 6455 § 7.4.1. */
const PROTOCOL_ERROR = 1002;
const MESSAGE_TOO_BIG = 1009;

export interface ServerFrameListener {
  /** A binary message; the buffer is the callee's to keep. */
  onMessage(message: Buffer): void;
  onPing(payload: Buffer): void;
  /** @param code 1005 when the peer named none */
  onCloseFrame(code: number, reason: string): void;
  /** The peer broke the protocol: what to close with. Called once, last (B3). */
  onFault(code: number, reason: string): void;
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Reads what a server sends, in pieces of any size. */
export class ServerFrameReader {
  readonly #messageBytesMax: number;
  readonly #listener: ServerFrameListener;
  /** Begin of a frame's head, or of a control frame (B2). */
  #rest: Buffer = NOTHING;
  /** A message longer than what has been read (B1). */
  #message: Buffer | undefined;
  #filled = 0;
  #ended = false;

  constructor(messageBytesMax: number, listener: ServerFrameListener) {
    this.#messageBytesMax = messageBytesMax;
    this.#listener = listener;
  }

  /** Bytes as the socket read them; they belong to the reader from here on. */
  push(read: Buffer): void {
    let at = this.#fillMessage(read);
    let bytes = read;
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, read]);
      this.#rest = NOTHING;
      at = 0;
    }
    while (at < bytes.length && !this.#ended) {
      const next = this.#readFrame(bytes, at);
      if (next === at) {
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** @returns where the bytes go on that are not the message's */
  #fillMessage(read: Buffer): number {
    const message = this.#message;
    if (message === undefined || this.#ended) return 0;
    const taken = read.copy(message, this.#filled);
    this.#filled += taken;
    if (this.#filled < message.length) return taken;
    this.#message = undefined;
    this.#listener.onMessage(message);
    return taken;
  }

  /** @returns where the next frame begins, or `at` when more bytes are needed first */
  #readFrame(bytes: Buffer, at: number): number {
    const left = bytes.length - at;
    if (left < 2) return at;
    const first = bytes[at] as number;
    const second = bytes[at + 1] as number;
    const opcode = first & OPCODE_BITS;
    if ((first & FINAL) === 0 || (first & RESERVED_BITS) !== 0 || (second & MASKED) !== 0)
      return this.#fault('expected a whole frame, unmasked and without extensions');
    let length = second & LENGTH_BITS;
    let payloadAt = at + 2;
    if (length === LENGTH_IN_2) {
      if (left < 4) return at;
      length = bytes.readUInt16BE(at + 2);
      payloadAt = at + 4;
    } else if (length === LENGTH_IN_8) {
      if (left < 10) return at;
      length = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
      payloadAt = at + 10;
    }
    if (opcode === OPCODE.BINARY) return this.#readMessage(bytes, payloadAt, length);
    if (opcode === OPCODE.TEXT) return this.#refuseText();
    if (opcode !== OPCODE.CLOSE && opcode !== OPCODE.PING && opcode !== OPCODE.PONG)
      return this.#fault(`expected a binary message, got opcode ${opcode}`);
    if (length > CONTROL_BYTES_MAX)
      return this.#fault(`expected a control frame of at most ${CONTROL_BYTES_MAX} bytes`);
    if (bytes.length < payloadAt + length) return at;
    this.#readControl(opcode, bytes.subarray(payloadAt, payloadAt + length));
    return payloadAt + length;
  }

  #readMessage(bytes: Buffer, payloadAt: number, length: number): number {
    if (length > this.#messageBytesMax) {
      return this.#fault(
        `expected a message of at most ${this.#messageBytesMax} bytes, got one of ${length}`,
        MESSAGE_TOO_BIG,
      );
    }
    const end = payloadAt + length;
    if (end <= bytes.length) {
      this.#listener.onMessage(bytes.subarray(payloadAt, end)); // B1
      return end;
    }
    this.#message = Buffer.allocUnsafeSlow(length);
    this.#filled = bytes.copy(this.#message, 0, payloadAt);
    return bytes.length;
  }

  #readControl(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.PING) this.#listener.onPing(payload);
    if (opcode !== OPCODE.CLOSE) return;
    this.#ended = true; // nothing follows a CLOSE
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_CODE;
    this.#listener.onCloseFrame(code, payload.toString('utf8', 2));
  }

  /** Text is no link traffic: it counts as an empty message, which the link refuses with a reason of its own. */
  #refuseText(): number {
    this.#ended = true; // B3
    this.#listener.onMessage(NOTHING);
    return Number.POSITIVE_INFINITY;
  }

  /** @returns an offset past the end, so that reading stops (B3) */
  #fault(reason: string, code = PROTOCOL_ERROR): number {
    this.#ended = true;
    this.#listener.onFault(code, reason);
    return Number.POSITIVE_INFINITY;
  }
}

const NO_CODE = 1005;

/** Room before a payload for the longest head (10 bytes) and the mask (4); a whole number of words. */
const HEAD_ROOM = 16;
const MASK_BYTES = 4;
const FIRST_BYTES = 64 * 1024;
/** Masks are drawn in lots: a call for four random bytes costs more than masking a message. */
const MASKS_DRAWN = 1_024;

/** Makes the frames a client sends: one at a time, in a buffer that is used again for the next one. */
export class ClientFrameWriter {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #words = wordsOf(this.#buffer);
  readonly #masks = new Int32Array(MASKS_DRAWN);
  #masksLeft = 0;

  /** @returns the frame; its bytes stay as they are until the next call, or for good after `giveAway` */
  frame(opcode: number, payload: Uint8Array): Buffer {
    const { length } = payload;
    if (HEAD_ROOM + length > this.#buffer.length) this.#replace(HEAD_ROOM + length + MASK_BYTES);
    const mask = this.#drawMask();
    const words = this.#words;
    const buffer = this.#buffer;
    this.#mask(payload, mask);
    words[HEAD_ROOM / MASK_BYTES - 1] = mask;
    const headAt = this.#writeHead(opcode, length);
    return buffer.subarray(headAt, HEAD_ROOM + length);
  }

  /** Writes the head so that it ends where the mask begins. @returns where it begins */
  #writeHead(opcode: number, length: number): number {
    const buffer = this.#buffer;
    const end = HEAD_ROOM - MASK_BYTES;
    let headAt = end - 2;
    if (length > 0xffff) {
      headAt = end - 10;
      buffer[headAt + 1] = MASKED | LENGTH_IN_8;
      buffer.writeUInt32BE(0, headAt + 2);
      buffer.writeUInt32BE(length, headAt + 6);
    } else if (length > CONTROL_BYTES_MAX) {
      headAt = end - 4;
      buffer[headAt + 1] = MASKED | LENGTH_IN_2;
      buffer.writeUInt16BE(length, headAt + 2);
    } else {
      buffer[headAt + 1] = MASKED | length;
    }
    buffer[headAt] = FINAL | opcode;
    return headAt;
  }

  /** The socket has not taken the last frame up yet: the next one gets a buffer of its own. */
  giveAway(): void {
    this.#replace(FIRST_BYTES);
  }

  /** Four bytes at a time where both lie on words, which a link's batches do. */
  #mask(payload: Uint8Array, mask: number): void {
    const { length } = payload;
    const words = this.#words;
    let done = 0;
    if (payload.byteOffset % MASK_BYTES === 0) {
      const source = new Int32Array(payload.buffer, payload.byteOffset, length >> 2);
      const first = HEAD_ROOM / MASK_BYTES;
      for (let index = 0; index < source.length; index++) words[first + index] = (source[index] as number) ^ mask;
      done = source.length * MASK_BYTES;
    }
    for (; done < length; done++) {
      this.#buffer[HEAD_ROOM + done] = (payload[done] as number) ^ (mask >>> ((done & 3) * 8));
    }
  }

  #drawMask(): number {
    if (this.#masksLeft === 0) {
      this.#masks.set(wordsOf(systemRandom.bytes(MASKS_DRAWN * MASK_BYTES)));
      this.#masksLeft = MASKS_DRAWN;
    }
    return this.#masks[--this.#masksLeft] as number;
  }

  #replace(byteCount: number): void {
    this.#buffer = Buffer.allocUnsafeSlow(Math.ceil(byteCount / MASK_BYTES) * MASK_BYTES);
    this.#words = wordsOf(this.#buffer);
  }
}

function wordsOf(bytes: Buffer): Int32Array {
  const aligned = bytes.byteOffset % MASK_BYTES === 0 ? bytes : Uint8Array.from(bytes);
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
}

/** What a CLOSE frame carries. @param reason at most 123 bytes */
export function closePayload(code: number, reason: string): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return payload;
}
