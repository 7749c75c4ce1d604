/**
 * What a server says of itself in every PONG, behind the frame head:
 *
 * | offset | size | field      |
 * |--------|------|------------|
 * | 16     | u32  | queueDepth |
 * | 20     | u32  | inFlight   |
 *
 * The head's `flags` is 1 while the server drains, its `amount` the sequence of the PING that is answered.
 */
import { FRAME_HEAD_BYTES, FRAME_TYPE, type FrameWriter } from './frame.ts';

export interface LoadReport {
  readonly queueDepth: number;
  readonly inFlight: number;
  readonly draining: boolean;
}

export const NO_LOAD: LoadReport = { queueDepth: 0, inFlight: 0, draining: false };

const REPORT_BYTES = 8;
const DRAINING_FLAG = 1;

export function writePong(writer: FrameWriter, sequence: number, report: LoadReport): void {
  writer.reserve(FRAME_HEAD_BYTES + REPORT_BYTES);
  writer.beginFrame(FRAME_TYPE.PONG, report.draining ? DRAINING_FLAG : 0, 0, 0, sequence);
  writer.view.setUint32(writer.at, report.queueDepth, true);
  writer.view.setUint32(writer.at + 4, report.inFlight, true);
  writer.at += REPORT_BYTES;
  writer.endFrame();
}

/** @returns undefined when the frame is too short to hold a report */
export function readPong(message: Buffer, start: number, end: number): LoadReport | undefined {
  if (end - start < FRAME_HEAD_BYTES + REPORT_BYTES) return undefined;
  return {
    queueDepth: message.readUInt32LE(start + FRAME_HEAD_BYTES),
    inFlight: message.readUInt32LE(start + FRAME_HEAD_BYTES + 4),
    draining: message[start + 5] === DRAINING_FLAG,
  };
}
