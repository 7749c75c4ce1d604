/**
 * The header lines of a reply, as bytes in one buffer that is used again for the next one: the request's id, where its
 * time went, and the lines that came with the reply. Made as texts they would cost more than all the rest of a reply.
 *
 * L1: the bytes before `#variableAt` never change: what every reply has at the same place is written once.
 */
import { copyBytes, writeAscii } from '../shared/link/frame.ts';

/** Where the time of a request went, µs each. */
export interface Timing {
  readonly queueMicros: number;
  readonly dispatchMicros: number;
  readonly handlerMicros: number;
  readonly dbMicros: number;
}

/** Most replies' header lines fit; longer ones get a buffer of their own. */
const HEAD_BYTES = 4 * 1024;

/** Longest text between the constant begin and the lines that came: four durations of up to 12 digits, their names. */
const TIMING_BYTES_MAX = 128;

const COUNTER_DIGITS = 16;
const TWO_POW_32 = 2 ** 32;
const ZERO = 0x30;
const POINT = 0x2e;
const HEX_DIGITS = Buffer.from('0123456789abcdef');

export class ReplyHead {
  readonly #buffer = Buffer.alloc(HEAD_BYTES);
  /** `subarray` of each length asked for before: a view costs as much as copying a hundred bytes. */
  readonly #views: (Buffer | undefined)[] = [];
  readonly #counterAt: number;
  readonly #variableAt: number;

  /** @param incarnation 16 hex digits, the first half of every request id */
  constructor(incarnation: string) {
    this.#counterAt = writeAscii(this.#buffer, 0, incarnation);
    const timingAt = this.#counterAt + COUNTER_DIGITS;
    this.#variableAt = writeAscii(this.#buffer, timingAt, '\r\nserver-timing: queue;dur='); // L1
  }

  /**
   * @param counter second half of the request id, 0..2^53-1
   * @param source holds the reply's own header lines at `[start..end)`, without the last line end
   * @returns value of x-request-id and all lines behind it; good until the next call
   */
  write(counter: number, timing: Timing, source: Buffer, start: number, end: number): Buffer {
    const bytesMax = this.#variableAt + TIMING_BYTES_MAX + (end - start);
    const buffer = bytesMax <= HEAD_BYTES ? this.#buffer : this.#ownBuffer(bytesMax);
    writeHex32(buffer, this.#counterAt, Math.floor(counter / TWO_POW_32));
    writeHex32(buffer, this.#counterAt + 8, counter % TWO_POW_32);
    let at = writeMillis(buffer, this.#variableAt, timing.queueMicros);
    at = copyBytes(buffer, at, DISPATCH, 0, DISPATCH.length);
    at = writeMillis(buffer, at, timing.dispatchMicros);
    at = copyBytes(buffer, at, HANDLER, 0, HANDLER.length);
    at = writeMillis(buffer, at, timing.handlerMicros);
    at = copyBytes(buffer, at, DB, 0, DB.length);
    at = writeMillis(buffer, at, timing.dbMicros);
    at = copyBytes(buffer, at, LINE_END, 0, LINE_END.length);
    at = copyBytes(buffer, at, source, start, end);
    return buffer === this.#buffer ? this.#view(at) : buffer.subarray(0, at);
  }

  #ownBuffer(byteCount: number): Buffer {
    const buffer = Buffer.alloc(byteCount);
    this.#buffer.copy(buffer, 0, 0, this.#variableAt);
    return buffer;
  }

  #view(length: number): Buffer {
    let view = this.#views[length];
    if (view === undefined) {
      view = this.#buffer.subarray(0, length);
      this.#views[length] = view;
    }
    return view;
  }
}

const DISPATCH = Buffer.from(', dispatch;dur=');
const HANDLER = Buffer.from(', handler;dur=');
const DB = Buffer.from(', db;dur=');
const LINE_END = Buffer.from('\r\n');

function writeHex32(target: Buffer, at: number, value: number): void {
  for (let digit = 0; digit < 8; digit++) {
    target[at + digit] = HEX_DIGITS[(value >>> (28 - digit * 4)) & 0xf] as number;
  }
}

/** Microseconds as milliseconds in plain decimals: 1234 → `1.234`, 1500 → `1.5`. @returns where they end */
function writeMillis(target: Buffer, start: number, micros: number): number {
  const whole = Math.floor(micros / 1000);
  let at = writeDecimal(target, start, whole);
  let rest = micros - whole * 1000;
  if (rest === 0) return at;
  target[at++] = POINT;
  for (let unit = 100; rest > 0; unit /= 10) {
    const digit = Math.floor(rest / unit);
    target[at++] = ZERO + digit;
    rest -= digit * unit;
  }
  return at;
}

/** @param value a whole number ≥ 0 @returns where its digits end */
function writeDecimal(target: Buffer, start: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  let rest = value;
  for (let at = start + digits - 1; at >= start; at--) {
    const next = Math.floor(rest / 10);
    target[at] = ZERO + (rest - next * 10);
    rest = next;
  }
  return start + digits;
}
