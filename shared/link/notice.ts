/** NOTICE frames: a topic, then JSON, behind the frame head; the head's `code` is how long the topic is. */
import { FRAME_HEAD_BYTES, FRAME_TYPE, type FrameWriter } from './frame.ts';
import type { FrameFault } from './frame-reader.ts';

export interface Notice {
  readonly topic: string;
  readonly value: unknown;
}

const TOPIC_CHARS_SHOWN_MAX = 32;

/** @param topic 1..255 ASCII characters @param jsonBytes of `json` in UTF-8 */
export function writeNotice(writer: FrameWriter, topic: string, json: string, jsonBytes: number): void {
  writer.reserve(FRAME_HEAD_BYTES + topic.length + jsonBytes);
  writer.beginFrame(FRAME_TYPE.NOTICE, 0, topic.length, 0, 0);
  writer.at += writer.buffer.write(topic, writer.at, 'latin1');
  writer.at += writer.buffer.write(json, writer.at, 'utf8');
  writer.endFrame();
}

export function readNotice(message: Buffer, start: number, end: number): Notice | FrameFault {
  const jsonAt = start + FRAME_HEAD_BYTES + message.readUInt16LE(start + 6);
  if (jsonAt > end) return invalid('expected a topic inside its NOTICE, got a longer one');
  const topic = message.toString('latin1', start + FRAME_HEAD_BYTES, jsonAt);
  try {
    return { topic, value: JSON.parse(message.toString('utf8', jsonAt, end)) };
  } catch {
    return invalid(`expected JSON in a NOTICE about "${topic.slice(0, TOPIC_CHARS_SHOWN_MAX)}"`);
  }
}

function invalid(detail: string): FrameFault {
  return { code: 'LINK_FRAME_INVALID', detail };
}
