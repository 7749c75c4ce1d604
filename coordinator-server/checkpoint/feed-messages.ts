/**
 * What a checkpointer and its coordinator tell each other: REQUEST and REPLY frames on a link between two of role
 * `coordinator`, always asked by the checkpointer. A payload is u32 JSON bytes, the JSON, then bytes as they are.
 *
 * | op              | asks                                                  | answer                                                |
 * |-----------------|-------------------------------------------------------|-------------------------------------------------------|
 * | follow          | records from `from` on; waits up to a second for them | `records`: u32 length and bytes each; or `none`, `dropped`, `behind` |
 * | read-snapshot   | the newest snapshot, made if there is none            | `fromSequence`; its parts are asked for next          |
 * | read-part       | the next part of it                                   | bytes; `last`                                         |
 * | offer-part      | takes bytes of a snapshot the checkpointer made       | nothing                                               |
 * | offer-end       | the snapshot is whole: takes it over                  | nothing                                               |
 */
import { z } from 'zod';
import { PlatformError } from '../../shared/errors.ts';
import { FRAME_HEAD_BYTES, type FrameWriter } from '../../shared/link/frame.ts';
import { checkSchema } from '../../shared/schema-check.ts';

/** Of one payload; every link takes frames of this size. */
export const PART_BYTES_MAX = 1024 * 1024;

const sequence = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const requestSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('follow'), from: sequence.min(1) }),
  z.object({ op: z.literal('read-snapshot') }),
  z.object({ op: z.literal('read-part') }),
  z.object({ op: z.literal('offer-part'), fromSequence: sequence, first: z.boolean() }),
  z.object({ op: z.literal('offer-end') }),
]);
export type FeedRequest = z.infer<typeof requestSchema>;

const answerSchema = z.discriminatedUnion('kind', [
  /** `durable`: the coordinator's last durable record. */
  z.object({ kind: z.literal('records'), first: sequence, count: z.int().min(1), durable: sequence }),
  z.object({ kind: z.literal('none'), durable: sequence }),
  /** What comes next was dropped: a snapshot shows it. */
  z.object({ kind: z.literal('dropped') }),
  /** The coordinator has fewer durable records than were asked from: it lost some. */
  z.object({ kind: z.literal('behind'), durable: sequence }),
  z.object({ kind: z.literal('snapshot'), fromSequence: sequence }),
  z.object({ kind: z.literal('part'), last: z.boolean() }),
  z.object({ kind: z.literal('taken') }),
]);
export type FeedAnswer = z.infer<typeof answerSchema>;

export interface FeedMessage<T> {
  readonly head: T;
  /** A view into what came. */
  readonly bytes: Buffer;
}

/** Writes a payload behind a frame's head. */
export function writeFeedPayload(
  writer: FrameWriter,
  head: FeedRequest | FeedAnswer,
  parts: readonly Uint8Array[],
): void {
  for (const part of [...headBytes(head), ...parts]) {
    writer.reserve(part.length);
    writer.buffer.set(part, writer.at);
    writer.at += part.length;
  }
}

function headBytes(head: FeedRequest | FeedAnswer): Buffer[] {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return [length, json];
}

/** @throws PlatformError LINK_FRAME_INVALID */
export function readFeedRequest(frame: Buffer, start: number, end: number): FeedMessage<FeedRequest> {
  return readPayload(frame, start, end, requestSchema);
}

/** @throws PlatformError LINK_FRAME_INVALID */
export function readFeedAnswer(frame: Buffer, start: number, end: number): FeedMessage<FeedAnswer> {
  return readPayload(frame, start, end, answerSchema);
}

/** Records as `records` carries them. */
export function packRecords(payloads: readonly Uint8Array[]): Uint8Array[] {
  return payloads.flatMap((payload) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(payload.length);
    return [length, payload];
  });
}

/** @throws PlatformError LINK_FRAME_INVALID */
export function unpackRecords(bytes: Buffer, count: number): Buffer[] {
  const payloads: Buffer[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    if (at + 4 + length > bytes.length) break;
    payloads.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  if (at === bytes.length && payloads.length === count) return payloads;
  throw invalid(`expected ${count} records in ${bytes.length} bytes, got ${payloads.length} in ${at}`);
}

function readPayload<T>(frame: Buffer, start: number, end: number, schema: z.ZodType<T>): FeedMessage<T> {
  const at = start + FRAME_HEAD_BYTES;
  if (end - at < 4) throw invalid('expected a payload of at least 4 bytes');
  const jsonEnd = at + 4 + frame.readUInt32LE(at);
  if (jsonEnd > end) throw invalid('expected the JSON inside its payload');
  let value: unknown;
  try {
    value = JSON.parse(frame.toString('utf8', at + 4, jsonEnd));
  } catch {
    throw invalid('expected JSON');
  }
  const parsed = checkSchema(schema, value);
  if (parsed?.success !== true) throw invalid('expected a message between a checkpointer and its coordinator');
  return { head: parsed.data, bytes: frame.subarray(jsonEnd, end) };
}

function invalid(detail: string): PlatformError {
  return new PlatformError('LINK_FRAME_INVALID', detail);
}
