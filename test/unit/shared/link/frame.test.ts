import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME_BYTES_MAX } from '../../../../shared/constants.ts';
import { FRAME_HEAD_BYTES, FrameWriter, frameBytesMaxFor } from '../../../../shared/link/frame.ts';
import { type FrameFault, readFrames } from '../../../../shared/link/frame-reader.ts';
import { frameOf, framesIn } from '../../../support/frames.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

const FRAME_BYTES = 4_096;

const anyFrame = fc.record(
  {
    type: fc.integer({ min: 1, max: 11 }),
    flags: fc.integer({ min: 0, max: 255 }),
    code: fc.integer({ min: 0, max: 65_535 }),
    streamId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    amount: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);

interface Walk {
  readonly frames: { type: number; start: number; end: number }[];
  readonly fault: FrameFault | undefined;
}

/** Reads a message, and asserts that every frame told of lies inside it, right behind the one before (R1). */
function walk(message: Buffer, frameBytesMax = FRAME_BYTES): Walk {
  const frames: Walk['frames'] = [];
  let at = 0;
  const note = (type: number, told: Buffer, start: number, end: number): void => {
    assert.equal(told, message);
    assert.ok(start === at && end > start && end <= message.length && end - start <= frameBytesMax);
    at = end;
    frames.push({ type, start, end });
  };
  return { fault: readFrames(message, frameBytesMax, note, () => true), frames };
}

test('what is written is read back, whatever the frames', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 16, max: 64 }),
      (frames, room) => {
        const writer = new FrameWriter(room);
        for (const { type, flags, code, streamId, amount, payload } of frames) {
          writer.reserve(FRAME_HEAD_BYTES + payload.length);
          writer.beginFrame(type, flags, code, streamId, amount);
          writer.at += payload.copy(writer.buffer, writer.at);
          assert.equal(writer.endFrame(), FRAME_HEAD_BYTES + payload.length);
        }
        const message = Buffer.from(writer.packed());
        assert.equal(walk(message).fault, undefined);
        assert.deepEqual(framesIn(message), frames);
      },
    ),
  );
});

test('a message cut at any byte is refused, unless it is cut between frames; what came whole is handed on', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 3 }), (frames) => {
      const whole = frames.map(frameOf);
      const message = Buffer.concat(whole);
      const ends = new Set([0]);
      for (const frame of whole) ends.add(Math.max(...ends) + frame.length);
      for (let cut = 1; cut < message.length; cut++) {
        const { fault, frames: read } = walk(message.subarray(0, cut));
        assert.equal(fault?.code, ends.has(cut) ? undefined : 'LINK_FRAME_TRUNCATED', `cut at ${cut}`);
        assert.equal(read.length, [...ends].filter((end) => end > 0 && end <= cut).length);
      }
    }),
    fewerRuns(10),
  );
});

test('any change of any byte is read without leaving the message, or refused with a typed reason', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 2 }),
      fc.integer({ min: 1, max: 255 }),
      (frames, flip) => {
        const message = Buffer.concat(frames.map(frameOf));
        for (let at = 0; at < message.length; at++) {
          const changed = Buffer.from(message);
          changed[at] = (changed[at] as number) ^ flip;
          const { fault } = walk(changed);
          if (fault !== undefined) assert.match(fault.code, /^LINK_FRAME_(INVALID|TOO_LARGE|TRUNCATED)$/);
        }
      },
    ),
    fewerRuns(20),
  );
});

test('garbage never reads outside the message', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void walk(Buffer.from(bytes))));
});

test('an empty message, type 0, a type past the last, and a length shorter than its head are refused', () => {
  const short = frameOf({ type: 3 });
  short.writeUInt32LE(FRAME_HEAD_BYTES - 1, 0);
  for (const message of [Buffer.alloc(0), frameOf({ type: 0 }), frameOf({ type: 12 }), short]) {
    assert.equal(walk(message).fault?.code, 'LINK_FRAME_INVALID');
  }
});

test('a frame of exactly the limit passes, and one byte more is refused by its length alone', () => {
  const atLimit = frameOf({ type: 3, payload: Buffer.alloc(FRAME_BYTES - FRAME_HEAD_BYTES) });
  assert.equal(walk(atLimit).fault, undefined);
  const over = frameOf({ type: 3 });
  over.writeUInt32LE(FRAME_BYTES + 1, 0);
  assert.equal(walk(over).fault?.code, 'LINK_FRAME_TOO_LARGE');
});

test('reading stops before the next frame once the reader is told so', () => {
  const message = Buffer.concat([frameOf({ type: 3 }), frameOf({ type: 4 })]);
  const types: number[] = [];
  const fault = readFrames(
    message,
    FRAME_BYTES,
    (type) => types.push(type),
    () => types.length === 0,
  );
  assert.deepEqual([types, fault], [[3], undefined]);
});

test('a frame taken back leaves no byte behind', () => {
  const writer = new FrameWriter(64);
  writer.beginFrame(3, 0, 0, 1, 0);
  writer.endFrame();
  writer.beginFrame(4, 0, 0, 2, 0);
  writer.endFrame();
  writer.abandonFrame();
  assert.deepEqual(
    framesIn(writer.packed()).map(({ type }) => type),
    [3],
  );
});

test('the buffer grows for one large frame and is small again when emptied', () => {
  const writer = new FrameWriter(64);
  writer.beginFrame(3, 0, 0, 1, 0);
  writer.reserve(10_000);
  assert.ok(writer.buffer.length >= 10_000 + FRAME_HEAD_BYTES);
  assert.equal(writer.view.buffer, writer.buffer.buffer);
  writer.clear();
  assert.equal(writer.buffer.length, 64);
});

test('no config makes frames longer than FRAME_BYTES_MAX', () => {
  assert.equal(frameBytesMaxFor(100, 50), 150);
  assert.equal(frameBytesMaxFor(FRAME_BYTES_MAX, 1), FRAME_BYTES_MAX);
});
