import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientFrameWriter, closePayload, OPCODE, ServerFrameReader } from '../../../shared/websocket-frames.ts';
import '../../support/property-runs.ts';

const MESSAGE_BYTES_MAX = 100_000;

interface Heard {
  readonly what: 'message' | 'ping' | 'close' | 'fault';
  readonly code?: number;
  readonly bytes?: string;
}

/** A reader that notes what it hands on. */
function listening(): { reader: ServerFrameReader; heard: Heard[] } {
  const heard: Heard[] = [];
  const reader = new ServerFrameReader(MESSAGE_BYTES_MAX, {
    onMessage: (message) => heard.push({ what: 'message', bytes: message.toString('hex') }),
    onPing: (payload) => heard.push({ what: 'ping', bytes: payload.toString('hex') }),
    onCloseFrame: (code, reason) => heard.push({ what: 'close', code, bytes: reason }),
    onFault: (code) => heard.push({ what: 'fault', code }),
  });
  return { reader, heard };
}

function hear(...reads: readonly Uint8Array[]): Heard[] {
  const { reader, heard } = listening();
  for (const read of reads) reader.push(Buffer.from(read));
  return heard;
}

/** A frame as a server sends it: never masked. */
function serverFrame(opcode: number, payload: Uint8Array, first = 0x80 | opcode): Buffer {
  const { length } = payload;
  if (length <= 125) return Buffer.concat([Buffer.from([first, length]), payload]);
  const head = length <= 0xffff ? Buffer.from([first, 126, length >> 8, length & 0xff]) : Buffer.alloc(10);
  if (length > 0xffff) {
    head[0] = first;
    head[1] = 127;
    head.writeUInt32BE(length, 6);
  }
  return Buffer.concat([head, payload]);
}

/** Cuts bytes up at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.integer({ min: 65_500, max: 65_600 }).map((length) => new Uint8Array(length).fill(7)),
);

test('messages and pings are read whole, however the socket cuts them up', () => {
  const frame = fc.oneof(
    fc.tuple(fc.constant(OPCODE.BINARY), payload),
    fc.tuple(fc.constant(OPCODE.PING), fc.uint8Array({ maxLength: 125 })),
  );
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 4 }), fc.array(fc.nat(70_000), { maxLength: 6 }), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(([opcode, content]) => serverFrame(opcode, content)));
      const expected = frames.map(([opcode, content]) => ({
        what: opcode === OPCODE.PING ? 'ping' : 'message',
        bytes: Buffer.from(content).toString('hex'),
      }));
      assert.deepEqual(hear(...pieces(bytes, cuts)), expected);
    }),
  );
});

test('a CLOSE is told with its code and reason, and nothing behind it is read', () => {
  const close = serverFrame(OPCODE.CLOSE, closePayload(4_012, 'too old'));
  const after = serverFrame(OPCODE.BINARY, Buffer.from('late'));
  assert.deepEqual(hear(Buffer.concat([close, after])), [{ what: 'close', code: 4_012, bytes: 'too old' }]);
  assert.deepEqual(hear(serverFrame(OPCODE.CLOSE, Buffer.alloc(0))), [{ what: 'close', code: 1_005, bytes: '' }]);
});

test('text counts as an empty message, which a link refuses', () => {
  assert.deepEqual(hear(serverFrame(OPCODE.TEXT, Buffer.from('hello'))), [{ what: 'message', bytes: '' }]);
});

const FAULTS: Record<string, readonly [bytes: Buffer, code: number]> = {
  'a masked frame': [Buffer.from([0x82, 0x81, 1, 2, 3, 4, 5]), 1_002],
  'a fragment': [serverFrame(OPCODE.BINARY, Buffer.from('part'), OPCODE.BINARY), 1_002],
  'a continuation': [serverFrame(0, Buffer.from('part')), 1_002],
  'an extension’s bit': [serverFrame(OPCODE.BINARY, Buffer.from('zip'), 0xc0 | OPCODE.BINARY), 1_002],
  'an unknown opcode': [serverFrame(0xb, Buffer.from('what')), 1_002],
  'a long PING': [serverFrame(OPCODE.PING, Buffer.alloc(126)), 1_002],
  'a message past the limit': [serverFrame(OPCODE.BINARY, Buffer.alloc(MESSAGE_BYTES_MAX + 1)), 1_009],
  'a length past all memory': [Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]), 1_009],
};
for (const [what, [bytes, code]] of Object.entries(FAULTS)) {
  test(`B3: ${what} is a fault, and nothing is handed on after it`, () => {
    const after = serverFrame(OPCODE.BINARY, Buffer.from('late'));
    assert.deepEqual(hear(bytes, after), [{ what: 'fault', code }]);
    assert.deepEqual(hear(...pieces(Buffer.concat([bytes, after]), [1, 2, 3])), [{ what: 'fault', code }]);
  });
}

test('whatever bytes come, the reader ends in at most one fault or CLOSE and throws nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (reads) => {
      const ends = hear(...reads).filter(({ what }) => what === 'fault' || what === 'close');
      assert.ok(ends.length <= 1);
    }),
  );
});

/** What a server reads from a client's frame (RFC 6455 § 5.3). */
function unmasked(frame: Buffer): { opcode: number; content: string } {
  const short = (frame[1] as number) & 0x7f;
  let maskAt = 2;
  let length = short;
  if (short === 126) {
    length = frame.readUInt16BE(2);
    maskAt = 4;
  } else if (short === 127) {
    length = Number(frame.readBigUInt64BE(2));
    maskAt = 10;
  }
  assert.equal((frame[1] as number) & 0x80, 0x80);
  assert.equal(frame.length, maskAt + 4 + length);
  const mask = frame.subarray(maskAt, maskAt + 4);
  const content = frame.subarray(maskAt + 4).map((byte, index) => byte ^ (mask[index & 3] as number));
  return { opcode: frame[0] as number, content: Buffer.from(content).toString('hex') };
}

test('a client’s frame is masked, and carries what it was given, wherever that lies in memory', () => {
  const writer = new ClientFrameWriter();
  fc.assert(
    fc.property(payload, fc.nat(7), (content, offset) => {
      const placed = Buffer.allocUnsafeSlow(content.length + offset).subarray(offset);
      placed.set(content);
      const hex = Buffer.from(content).toString('hex');
      assert.deepEqual(unmasked(writer.frame(OPCODE.BINARY, placed)), { opcode: 0x82, content: hex });
    }),
  );
});

test('a frame that was given away keeps its bytes while the next ones are made', () => {
  const writer = new ClientFrameWriter();
  const first = writer.frame(OPCODE.BINARY, Buffer.from('first'));
  writer.giveAway();
  writer.frame(OPCODE.BINARY, Buffer.from('other'));
  assert.equal(Buffer.from(unmasked(first).content, 'hex').toString(), 'first');
});
