/**
 * Envelopes: what REQUEST, REPLY and ERROR frames hold behind their head (frame.ts), little-endian.
 *
 * REQUEST
 * | offset | size | field           | meaning                                                             |
 * |--------|------|-----------------|---------------------------------------------------------------------|
 * | 16     | 16 B | requestId       | incarnation of the interface server (8 B), counter (u64), big-endian |
 * | 32     | u32  | bucketMapEpoch  | of the dispatcher's map; 0 before the dispatcher                     |
 * | 36     | u16  | bucket          | set by the dispatcher                                               |
 * | 38     | u8   | attempt         | times this request was sent before, on this hop                     |
 * | 39     | u8   | methodBytes     |                                                                     |
 * | 40     | u16  | accountKeyBytes | before the dispatcher: the key the path names, if any; after: the key |
 * | 42     | u16  | targetBytes     | path and query, percent-encoded as sent                             |
 * | 44     | u16  | pathBytes       | of it, before the `?`                                               |
 * | 46     | u16  | traceparentBytes| 0 or 55                                                             |
 * | 48     | u32  | headerBytes     |                                                                     |
 * | 52     | u32  | waitedMicros    | time spent in request queues so far                                 |
 * | 56     | …    | accountKey (UTF-8), method, target, traceparent (ASCII), headers (`name:value\n`…, UTF-8), body (the rest) |
 *
 * REPLY
 * | 16 u32 queueMicros | 20 u32 dispatchMicros | 24 u32 handlerMicros | 28 u32 dbMicros | 32 u32 headerBytes |
 * | 36 … | headers (`name: value\r\n`…, latin1, validated by the SDK), body (the rest) |
 *
 * ERROR: | 16 … | JSON: { detail, status?, title?, problem?, group?, servedBy? } |
 *
 * V1: a body is never parsed here, and copied only from one batch buffer into the next.
 * V2: every length is checked against the frame before anything is read by it (`requestIsWhole`, `replyIsWhole`).
 */
import { DETAIL_CHARS_MAX, readErrorPayload } from './error-payload.ts';
import { ERROR_KINDS, errorCodeOfWire, PlatformError } from './errors.ts';
import { copyBytes, FRAME_HEAD_BYTES, FRAME_TYPE, type FrameWriter, writeAscii } from './link/frame.ts';

export const REQUEST_HEAD_BYTES = 56;
export const REPLY_HEAD_BYTES = 36;

/** A request as the interface server sends it. */
export interface RequestFields {
  readonly requestClass: number;
  readonly remainingMs: number;
  /** The two halves of the interface server's incarnation. */
  readonly incarnationHigh: number;
  readonly incarnationLow: number;
  readonly counter: number;
  readonly attempt: number;
  /** Key the path names; '' when it names none. */
  readonly pathAccountKey: string;
  readonly method: string;
  readonly path: string;
  /** What stands behind the `?`; '' when there is none. */
  readonly query: string;
  readonly traceparent: string;
  readonly headerBlock: string;
  readonly body: Uint8Array | null;
  readonly waitedMicros: number;
}

const UTF8_BYTES_PER_CHAR_MAX = 3;
const QUESTION_MARK = 0x3f;
const TWO_POW_32 = 2 ** 32;

/** Writes a REQUEST frame up to its end; the caller ends it. */
export function writeRequest(writer: FrameWriter, streamId: number, request: RequestFields): void {
  const bodyBytes = request.body === null ? 0 : request.body.length;
  const textLength = request.pathAccountKey.length + request.headerBlock.length;
  const pathLength = request.path.length;
  const targetLength = request.query === '' ? pathLength : pathLength + 1 + request.query.length;
  const asciiLength = request.method.length + targetLength + request.traceparent.length;
  writer.reserve(REQUEST_HEAD_BYTES + asciiLength + textLength * UTF8_BYTES_PER_CHAR_MAX + bodyBytes);
  writer.beginFrame(FRAME_TYPE.REQUEST, request.requestClass, 0, streamId, request.remainingMs);
  const headAt = writer.at - FRAME_HEAD_BYTES;
  const { view, buffer } = writer;
  view.setUint32(headAt + 16, request.incarnationHigh, false);
  view.setUint32(headAt + 20, request.incarnationLow, false);
  view.setUint32(headAt + 24, Math.floor(request.counter / TWO_POW_32), false);
  view.setUint32(headAt + 28, request.counter % TWO_POW_32, false);
  view.setUint32(headAt + 32, 0, true);
  view.setUint16(headAt + 36, 0, true);
  view.setUint8(headAt + 38, request.attempt);
  view.setUint8(headAt + 39, request.method.length);
  let at = headAt + REQUEST_HEAD_BYTES;
  const keyBytes = request.pathAccountKey === '' ? 0 : buffer.write(request.pathAccountKey, at, 'utf8');
  view.setUint16(headAt + 40, keyBytes, true);
  at += keyBytes;
  view.setUint16(headAt + 42, targetLength, true);
  view.setUint16(headAt + 44, pathLength, true);
  at = writeAscii(buffer, at, request.method);
  at = writeAscii(buffer, at, request.path);
  if (request.query !== '') {
    buffer[at++] = QUESTION_MARK;
    at = writeAscii(buffer, at, request.query);
  }
  view.setUint16(headAt + 46, request.traceparent.length, true);
  if (request.traceparent !== '') at += buffer.write(request.traceparent, at, 'latin1');
  const headerBytes = request.headerBlock === '' ? 0 : buffer.write(request.headerBlock, at, 'utf8');
  view.setUint32(headAt + 48, headerBytes, true);
  at += headerBytes;
  view.setUint32(headAt + 52, request.waitedMicros, true);
  if (request.body !== null && bodyBytes > 0) {
    buffer.set(request.body, at);
    at += bodyBytes;
  }
  writer.at = at;
}

/** V2 @returns whether all parts the head tells of lie inside the frame */
export function requestIsWhole(message: Buffer, start: number, end: number): boolean {
  if (end - start < REQUEST_HEAD_BYTES) return false;
  return requestBodyAt(message, start) <= end && pathBytesOf(message, start) <= targetBytesOf(message, start);
}

export const requestClassOf = (message: Buffer, start: number): number => message[start + 5] as number;
export const remainingMsOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 12);
export const bucketMapEpochOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 32);
export const bucketOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 36);
export const waitedMicrosOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 52);
const methodBytesOf = (message: Buffer, start: number): number => message[start + 39] as number;
export const accountKeyBytesOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 40);
const targetBytesOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 42);
const pathBytesOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 44);
const traceparentBytesOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 46);
const headerBytesOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 48);

export function requestIdOf(message: Buffer, start: number): string {
  return message.toString('hex', start + 16, start + 32);
}

export function accountKeyOf(message: Buffer, start: number): string {
  const at = start + REQUEST_HEAD_BYTES;
  return message.toString('utf8', at, at + accountKeyBytesOf(message, start));
}

export function methodOf(message: Buffer, start: number): string {
  const at = start + REQUEST_HEAD_BYTES + accountKeyBytesOf(message, start);
  const bytes = methodBytesOf(message, start);
  // The two that are nearly all there are: a text made anew costs more than looking at its letters.
  if (bytes === 3 && message[at] === 0x47 && message[at + 1] === 0x45 && message[at + 2] === 0x54) return 'GET';
  if (bytes === 4 && message.readUInt32BE(at) === 0x504f5354) return 'POST';
  return message.toString('latin1', at, at + bytes);
}

function targetAt(message: Buffer, start: number): number {
  return start + REQUEST_HEAD_BYTES + accountKeyBytesOf(message, start) + methodBytesOf(message, start);
}

/** Path and query, percent-encoded as sent. */
export function targetOf(message: Buffer, start: number): string {
  const at = targetAt(message, start);
  return message.toString('latin1', at, at + targetBytesOf(message, start));
}

/** Offset of what stands behind the `?`; past `queryEnd` when there is none. */
export function queryAt(message: Buffer, start: number): number {
  return targetAt(message, start) + pathBytesOf(message, start) + 1;
}

export function queryEnd(message: Buffer, start: number): number {
  return targetAt(message, start) + targetBytesOf(message, start);
}

/** What stands behind the `?`, percent-encoded; '' when there is none. */
export function queryOf(message: Buffer, start: number): string {
  const at = queryAt(message, start);
  const end = queryEnd(message, start);
  return at >= end ? '' : message.toString('latin1', at, end);
}

function traceparentAt(message: Buffer, start: number): number {
  return targetAt(message, start) + targetBytesOf(message, start);
}

export function traceparentOf(message: Buffer, start: number): string {
  const bytes = traceparentBytesOf(message, start);
  if (bytes === 0) return '';
  const at = traceparentAt(message, start);
  return message.toString('latin1', at, at + bytes);
}

/** Offset of the headers; they end where the body begins. */
export function headerBlockAt(message: Buffer, start: number): number {
  return traceparentAt(message, start) + traceparentBytesOf(message, start);
}

/** @param encoding latin1 is faster, and as good for a reader that takes ASCII only */
export function headerBlockOf(message: Buffer, start: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  const at = headerBlockAt(message, start);
  return message.toString(encoding, at, at + headerBytesOf(message, start));
}

/** Offset of the body; it ends with the frame. */
export function requestBodyAt(message: Buffer, start: number): number {
  return headerBlockAt(message, start) + headerBytesOf(message, start);
}

/** What a dispatcher changes in a request that it hands on. */
export interface Forwarding {
  readonly remainingMs: number;
  readonly bucketMapEpoch: number;
  readonly bucket: number;
  readonly attempt: number;
  readonly waitedMicros: number;
  /** Holds the resolved key, UTF-8, when it is not the one the path named; null leaves that as it is. */
  readonly accountKey: Buffer | null;
  readonly accountKeyStart: number;
  readonly accountKeyEnd: number;
}

/** Copies a REQUEST frame into the next batch (V1), with another stream id and what the dispatcher found out. */
export function forwardRequest(
  writer: FrameWriter,
  streamId: number,
  frame: { readonly message: Buffer; readonly start: number; readonly end: number },
  change: Forwarding,
): void {
  const { message, start, end } = frame;
  const key = change.accountKey;
  const keyBytes = change.accountKeyEnd - change.accountKeyStart;
  writer.reserve(end - start + (key === null ? 0 : keyBytes));
  writer.beginFrame(FRAME_TYPE.REQUEST, requestClassOf(message, start), 0, streamId, change.remainingMs);
  const headAt = writer.at - FRAME_HEAD_BYTES;
  const { view, buffer } = writer;
  if (key === null) {
    writer.at = copyBytes(buffer, writer.at, message, start + FRAME_HEAD_BYTES, end);
  } else {
    let at = copyBytes(buffer, writer.at, message, start + FRAME_HEAD_BYTES, start + REQUEST_HEAD_BYTES);
    at = copyBytes(buffer, at, key, change.accountKeyStart, change.accountKeyEnd);
    view.setUint16(headAt + 40, keyBytes, true);
    const restAt = start + REQUEST_HEAD_BYTES + accountKeyBytesOf(message, start);
    writer.at = copyBytes(buffer, at, message, restAt, end);
  }
  view.setUint32(headAt + 32, change.bucketMapEpoch, true);
  view.setUint16(headAt + 36, change.bucket, true);
  view.setUint8(headAt + 38, change.attempt);
  view.setUint32(headAt + 52, change.waitedMicros, true);
}

/** Where the time of a request went, in µs; each tier adds its own. */
export interface ReplyTimes {
  readonly queueMicros: number;
  readonly dispatchMicros: number;
  readonly handlerMicros: number;
  readonly dbMicros: number;
}

/** Writes a REPLY frame up to its end; the caller ends it. @param headers `name: value\r\n` lines, latin1 */
export function writeReply(
  writer: FrameWriter,
  streamId: number,
  reply: { readonly status: number; readonly headers: string; readonly body: Uint8Array | string },
  times: ReplyTimes,
): void {
  const { headers, body } = reply;
  const bodyBytesMax = typeof body === 'string' ? body.length * UTF8_BYTES_PER_CHAR_MAX : body.length;
  writer.reserve(REPLY_HEAD_BYTES + headers.length + bodyBytesMax);
  writer.beginFrame(FRAME_TYPE.REPLY, 0, reply.status, streamId, 0);
  const headAt = writer.at - FRAME_HEAD_BYTES;
  const { view, buffer } = writer;
  view.setUint32(headAt + 16, times.queueMicros, true);
  view.setUint32(headAt + 20, times.dispatchMicros, true);
  view.setUint32(headAt + 24, times.handlerMicros, true);
  view.setUint32(headAt + 28, times.dbMicros, true);
  view.setUint32(headAt + 32, headers.length, true);
  let at = headAt + REPLY_HEAD_BYTES;
  at += buffer.write(headers, at, 'latin1');
  if (typeof body === 'string') {
    at += buffer.write(body, at, 'utf8');
  } else {
    buffer.set(body, at);
    at += body.length;
  }
  writer.at = at;
}

/** Statuses that a reply may have: a client takes what is below for something that comes before the reply. */
const STATUS_MIN = 200;
const STATUS_MAX = 599;

/** V2 @returns whether the head lies inside the frame, and its status is one that a client can be told */
export function replyIsWhole(message: Buffer, start: number, end: number): boolean {
  if (end - start < REPLY_HEAD_BYTES || REPLY_HEAD_BYTES + replyHeaderBytesOf(message, start) > end - start)
    return false;
  const status = statusOf(message, start);
  return status >= STATUS_MIN && status <= STATUS_MAX;
}

export const statusOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 6);
export const queueMicrosOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 16);
export const dispatchMicrosOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 20);
export const handlerMicrosOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 24);
export const dbMicrosOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 28);
export const replyHeaderBytesOf = (message: Buffer, start: number): number => message.readUInt32LE(start + 32);

/** Set in an ERROR's flags: an earlier try was lost on its way, so the request may have had its effect all the same. */
const LOST_FLAG = 1;

/**
 * Copies a REPLY or ERROR frame into the next batch under another stream id.
 * @param dispatchMicros of a REPLY, or null
 * @param wasLost an earlier try of the request was lost: said on in an ERROR
 */
export function forwardAnswer(
  writer: FrameWriter,
  streamId: number,
  frame: { readonly message: Buffer; readonly start: number; readonly end: number },
  dispatchMicros: number | null,
  wasLost = false,
): void {
  const { message, start, end } = frame;
  writer.reserve(end - start);
  const type = message[start + 4] as number;
  const flags = (message[start + 5] as number) | (wasLost && type === FRAME_TYPE.ERROR ? LOST_FLAG : 0);
  writer.beginFrame(type, flags, message.readUInt16LE(start + 6), streamId, message.readUInt32LE(start + 12));
  const headAt = writer.at - FRAME_HEAD_BYTES;
  writer.at = copyBytes(writer.buffer, writer.at, message, start + FRAME_HEAD_BYTES, end);
  if (dispatchMicros !== null) writer.view.setUint32(headAt + 20, dispatchMicros, true);
}

/** Who answered, for the reply headers of an error. */
export interface Answerer {
  readonly group?: string;
  readonly servedBy?: string;
}

export interface ErrorOptions {
  /** 0 when nothing is known. */
  readonly retryAfterMs?: number;
  /** An earlier try of the request was lost on its way. */
  readonly wasLost?: boolean;
}

/** Writes an ERROR frame up to its end; the caller ends it. */
export function writeError(
  writer: FrameWriter,
  streamId: number,
  error: PlatformError,
  by: Answerer,
  options: ErrorOptions = {},
): void {
  const own = error.code === 'SERVICE_PROBLEM';
  const json = JSON.stringify({
    detail: error.detail.slice(0, DETAIL_CHARS_MAX),
    ...(own ? { status: error.status, title: error.title, problem: error.problem } : {}),
    ...by,
  });
  writer.reserve(FRAME_HEAD_BYTES + json.length * UTF8_BYTES_PER_CHAR_MAX);
  const flags = options.wasLost === true ? LOST_FLAG : 0;
  writer.beginFrame(FRAME_TYPE.ERROR, flags, ERROR_KINDS[error.code].wire, streamId, options.retryAfterMs ?? 0);
  writer.at += writer.buffer.write(json, writer.at, 'utf8');
}

export interface ReceivedError {
  readonly error: PlatformError;
  readonly by: Answerer;
  readonly retryAfterMs: number;
}

/** Whether an earlier try of the request was lost on its way. */
export const wasLostOf = (message: Buffer, start: number): boolean => message[start + 5] === LOST_FLAG;
export const errorWireOf = (message: Buffer, start: number): number => message.readUInt16LE(start + 6);

/** Reads an ERROR frame; an unreadable payload gives the code with a plain detail, and so does a field in it. */
export function readError(message: Buffer, start: number, end: number): ReceivedError {
  const code = errorCodeOfWire(errorWireOf(message, start));
  const retryAfterMs = message.readUInt32LE(start + 12);
  const { detail, by, own } = readErrorPayload(message.toString('utf8', start + FRAME_HEAD_BYTES, end));
  const options = code === 'SERVICE_PROBLEM' ? own : {};
  return { error: new PlatformError(code, detail ?? ERROR_KINDS[code].title, options), by, retryAfterMs };
}
