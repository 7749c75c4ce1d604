import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  accountKeyBytesOf,
  accountKeyOf,
  bucketMapEpochOf,
  bucketOf,
  dbMicrosOf,
  dispatchMicrosOf,
  errorWireOf,
  forwardAnswer,
  forwardRequest,
  handlerMicrosOf,
  headerBlockOf,
  methodOf,
  queryOf,
  queueMicrosOf,
  REPLY_HEAD_BYTES,
  REQUEST_HEAD_BYTES,
  readError,
  remainingMsOf,
  replyHeaderBytesOf,
  replyIsWhole,
  requestBodyAt,
  requestClassOf,
  requestIdOf,
  requestIsWhole,
  statusOf,
  targetOf,
  traceparentOf,
  waitedMicrosOf,
  writeError,
  writeReply,
  writeRequest,
} from '../../../shared/envelope.ts';
import { ERROR_KINDS, type ErrorCode, PlatformError } from '../../../shared/errors.ts';
import { requestIdText } from '../../../shared/ids.ts';
import { FrameWriter } from '../../../shared/link/frame.ts';
import { FC_RUNS } from '../../support/property-runs.ts';

interface Frame {
  readonly message: Buffer;
  readonly start: number;
  readonly end: number;
}

/** One frame behind another one in the same batch, so that no offset is 0 by luck. */
function framed(write: (writer: FrameWriter) => void): Frame {
  const writer = new FrameWriter(64);
  writer.beginFrame(7, 0, 0, 0, 0);
  writer.endFrame();
  const start = writer.at;
  write(writer);
  writer.endFrame();
  const end = writer.at;
  const message = Buffer.concat([writer.packed(), Buffer.alloc(20, 0xee)]);
  assert.equal(message.readUInt32LE(start), end - start);
  return { message, start, end };
}

const u32 = fc.nat(2 ** 32 - 1);
const ascii = (maxLength: number) =>
  fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)), maxLength });
const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength });
const bytes = fc.uint8Array({ maxLength: 100 });

const anyRequest = fc.record(
  {
    requestClass: fc.nat(255),
    remainingMs: u32,
    incarnationHigh: u32,
    incarnationLow: u32,
    counter: fc.maxSafeNat(),
    attempt: fc.nat(255),
    pathAccountKey: text(40),
    method: fc.string({ unit: fc.constantFrom(...'ABCXYZ'), minLength: 1, maxLength: 32 }),
    path: ascii(40),
    query: ascii(40),
    traceparent: fc.constantFrom('', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`),
    headerBlock: text(60),
    body: fc.option(bytes),
    waitedMicros: u32,
  },
  { noNullPrototype: true },
);

type AnyRequest = typeof anyRequest extends fc.Arbitrary<infer T> ? T : never;

function requestFrame(request: AnyRequest): Frame {
  return framed((writer) => writeRequest(writer, 77, request));
}

function assertCarries({ message, start, end }: Frame, request: AnyRequest): void {
  assert.ok(requestIsWhole(message, start, end));
  const incarnation = [request.incarnationHigh, request.incarnationLow].map((half) =>
    half.toString(16).padStart(8, '0'),
  );
  assert.deepEqual(
    {
      requestClass: requestClassOf(message, start),
      requestId: requestIdOf(message, start),
      method: methodOf(message, start),
      target: targetOf(message, start),
      query: queryOf(message, start),
      traceparent: traceparentOf(message, start),
      headerBlock: headerBlockOf(message, start),
      body: Buffer.from(message.subarray(requestBodyAt(message, start), end)),
    },
    {
      requestClass: request.requestClass,
      requestId: requestIdText(incarnation.join(''), request.counter),
      method: request.method,
      target: request.query === '' ? request.path : `${request.path}?${request.query}`,
      query: request.query,
      traceparent: request.traceparent,
      headerBlock: request.headerBlock,
      body: Buffer.from(request.body ?? []),
    },
  );
}

test('a request is read as it was written', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const frame = requestFrame(request);
      const { message, start } = frame;
      assertCarries(frame, request);
      assert.equal(accountKeyOf(message, start), request.pathAccountKey);
      assert.equal(accountKeyBytesOf(message, start), Buffer.byteLength(request.pathAccountKey));
      assert.deepEqual(
        [remainingMsOf(message, start), waitedMicrosOf(message, start)],
        [request.remainingMs, request.waitedMicros],
      );
      assert.deepEqual(
        [bucketMapEpochOf(message, start), bucketOf(message, start), message[start + 38]],
        [0, 0, request.attempt],
      );
    }),
  );
});

test('a request handed on carries what the dispatcher found, under its new stream, and all the rest as it was', () => {
  const change = fc.record({
    remainingMs: u32,
    bucketMapEpoch: u32,
    bucket: fc.nat(65_535),
    attempt: fc.nat(255),
    waitedMicros: u32,
    key: fc.option(text(40)),
  });
  fc.assert(
    fc.property(anyRequest, change, (request, { key, ...found }) => {
      const received = requestFrame(request);
      const before = Buffer.from(received.message);
      const accountKey = key === null ? null : Buffer.from(`..${key}..`);
      const place = { accountKey, accountKeyStart: 2, accountKeyEnd: 2 + Buffer.byteLength(key ?? '') };
      const frame = framed((writer) => forwardRequest(writer, 99, received, { ...found, ...place }));
      const { message, start } = frame;
      assertCarries(frame, request);
      assert.equal(accountKeyOf(message, start), key ?? request.pathAccountKey);
      assert.deepEqual(
        {
          streamId: message.readUInt32LE(start + 8),
          remainingMs: remainingMsOf(message, start),
          bucketMapEpoch: bucketMapEpochOf(message, start),
          bucket: bucketOf(message, start),
          attempt: message[start + 38],
          waitedMicros: waitedMicrosOf(message, start),
        },
        { streamId: 99, ...found },
      );
      assert.deepEqual(received.message, before, 'the received frame is kept for a second try');
    }),
  );
});

const times = fc.record(
  { queueMicros: u32, dispatchMicros: u32, handlerMicros: u32, dbMicros: u32 },
  { noNullPrototype: true },
);

test('a reply is read as it was written, and handed on with the dispatcher’s own time', () => {
  const reply = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    headers: ascii(60).map((line) => `x: ${line}\r\n`),
    body: fc.oneof(bytes, text(50)),
  });
  fc.assert(
    fc.property(reply, times, fc.option(u32), (written, spent, dispatchMicros) => {
      const first = framed((writer) => writeReply(writer, 5, written, spent));
      const handedOn = framed((writer) => forwardAnswer(writer, 6, first, dispatchMicros));
      for (const [{ message, start, end }, streamId, dispatch] of [
        [first, 5, spent.dispatchMicros],
        [handedOn, 6, dispatchMicros ?? spent.dispatchMicros],
      ] as const) {
        assert.ok(replyIsWhole(message, start, end));
        const bodyAt = start + REPLY_HEAD_BYTES + replyHeaderBytesOf(message, start);
        assert.equal(message.toString('latin1', start + REPLY_HEAD_BYTES, bodyAt), written.headers);
        assert.deepEqual(Buffer.from(message.subarray(bodyAt, end)), Buffer.from(written.body as string));
        assert.deepEqual([statusOf(message, start), message.readUInt32LE(start + 8)], [written.status, streamId]);
        assert.deepEqual(
          [queueMicrosOf, dispatchMicrosOf, handlerMicrosOf, dbMicrosOf].map((read) => read(message, start)),
          [spent.queueMicros, dispatch, spent.handlerMicros, spent.dbMicros],
        );
      }
    }),
  );
});

test('an error of any code is read as it was written, also when it was handed on', () => {
  const code = fc.constantFrom(...(Object.keys(ERROR_KINDS) as ErrorCode[]));
  fc.assert(
    fc.property(code, text(80), u32, (errorCode, detail, retryAfterMs) => {
      const by = { group: 'g1', servedBy: 'g1a' };
      const first = framed((writer) =>
        writeError(writer, 5, new PlatformError(errorCode, detail), by, { retryAfterMs }),
      );
      const { message, start, end } = framed((writer) => forwardAnswer(writer, 6, first, null));
      const read = readError(message, start, end);
      assert.deepEqual(
        [read.error.code, read.error.detail, read.by, read.retryAfterMs],
        [errorCode, detail, by, retryAfterMs],
      );
      assert.equal(errorWireOf(message, start), ERROR_KINDS[errorCode].wire);
    }),
  );
});

test('a service’s own problem keeps its status, title and type; another code’s status is the table’s', () => {
  const own = { status: 418, title: 'Teapot', problem: 'teapot' };
  const written = (error: PlatformError): PlatformError => {
    const { message, start, end } = framed((writer) => writeError(writer, 5, error, {}));
    return readError(message, start, end).error;
  };
  const problem = written(new PlatformError('SERVICE_PROBLEM', 'short and stout', own));
  assert.deepEqual({ status: problem.status, title: problem.title, problem: problem.problem }, own);
  assert.equal(written(new PlatformError('QUEUE_FULL', 'x', own)).status, 503);
});

test('a long detail is cut, and an unreadable error still has its code', () => {
  const { message, start, end } = framed((writer) =>
    writeError(writer, 5, new PlatformError('INTERNAL', 'é'.repeat(5_000)), {}),
  );
  assert.equal(readError(message, start, end).error.detail.length, 1_000);
  message.fill(0x7b, start + 16, end);
  assert.equal(readError(message, start, end).error.detail, 'Internal error');
  message.write('null', start + 16);
  assert.equal(readError(message, start, start + 20).error.code, 'INTERNAL');
  message.writeUInt16LE(9_999, start + 6);
  assert.equal(readError(message, start, end).error.code, 'INTERNAL');
});

/** Everything a reader asks of a request frame. */
function readAll(message: Buffer, start: number, end: number): unknown[] {
  const texts = [accountKeyOf, methodOf, targetOf, queryOf, traceparentOf, headerBlockOf, requestIdOf, requestClassOf];
  const bodyAt = requestBodyAt(message, start);
  assert.ok(bodyAt >= start + REQUEST_HEAD_BYTES && bodyAt <= end);
  return [...texts.map((read) => read(message, start)), Buffer.from(message.subarray(bodyAt, end)).toString('hex')];
}

/** The same frame amid two kinds of surroundings: what is read of it must not differ. */
function amid(frame: Uint8Array, fill: number): Frame {
  const message = Buffer.alloc(frame.length + 400, fill);
  message.set(frame, 200);
  return { message, start: 200, end: 200 + frame.length };
}

/** A head of mostly small lengths, so that many frames are whole, and bytes behind it. */
const requestLike = fc
  .tuple(
    fc.uint8Array({ minLength: 56, maxLength: 56 }),
    fc.array(fc.nat(20), { minLength: 6, maxLength: 6 }),
    fc.uint8Array({ minLength: 30, maxLength: 80 }),
  )
  .map(([head, lengths, rest]) => {
    const frame = Buffer.concat([head, rest]);
    const [method, key, target, path, trace, header] = lengths as [number, number, number, number, number, number];
    frame[39] = method;
    for (const [at, length] of [
      [40, key],
      [42, target],
      [44, path],
      [46, trace],
    ] as const)
      frame.writeUInt16LE(length, at);
    frame.writeUInt32LE(header, 48);
    return frame;
  });

test('V2: a request of any bytes is refused, or read without a look outside its frame', () => {
  let whole = 0;
  fc.assert(
    fc.property(fc.oneof(requestLike, fc.uint8Array({ maxLength: 120 })), (frame) => {
      const one = amid(frame, 0xaa);
      const other = amid(frame, 0x55);
      assert.equal(
        requestIsWhole(one.message, one.start, one.end),
        requestIsWhole(other.message, other.start, other.end),
      );
      if (!requestIsWhole(one.message, one.start, one.end)) return;
      whole++;
      assert.deepEqual(readAll(one.message, one.start, one.end), readAll(other.message, other.start, other.end));
    }),
  );
  assert.ok(whole * 20 > FC_RUNS, `only ${whole} frames were whole: this property looks at nothing`);
});

test('V2: a frame cut anywhere in its head or parts is not whole', () => {
  fc.assert(
    fc.property(anyRequest, fc.nat(), (request, pick) => {
      const { message, start } = requestFrame(request);
      const bodyAt = requestBodyAt(message, start);
      const cut = start + (pick % (bodyAt - start));
      assert.equal(requestIsWhole(message, start, cut), false);
      assert.equal(requestIsWhole(message, start, bodyAt), true);
    }),
  );
});

test('V2: a path longer than its target is refused', () => {
  const { message, start, end } = framed((writer) => writeRequest(writer, 1, { ...PLAIN, path: '/abc' }));
  assert.equal(requestIsWhole(message, start, end), true);
  message.writeUInt16LE(5, start + 44);
  assert.equal(requestIsWhole(message, start, end), false);
});

test('V2: a reply of any bytes is refused, or its headers lie inside its frame', () => {
  const replyLike = fc
    .tuple(fc.uint8Array({ minLength: 36, maxLength: 36 }), fc.nat(60), bytes)
    .map(([head, headerBytes, rest]) => {
      const frame = Buffer.concat([head, rest]);
      frame.writeUInt32LE(headerBytes, 32);
      return frame;
    });
  fc.assert(
    fc.property(fc.oneof(replyLike, fc.uint8Array({ maxLength: 80 })), (frame) => {
      const { message, start, end } = amid(frame, 0xaa);
      if (!replyIsWhole(message, start, end)) return;
      assert.ok(start + REPLY_HEAD_BYTES + replyHeaderBytesOf(message, start) <= end);
    }),
  );
});

const PLAIN = {
  requestClass: 0,
  remainingMs: 1,
  incarnationHigh: 0,
  incarnationLow: 0,
  counter: 1,
  attempt: 0,
  pathAccountKey: '',
  method: 'GET',
  path: '/',
  query: '',
  traceparent: '',
  headerBlock: '',
  body: null,
  waitedMicros: 0,
};

test('the largest target, key and headers that a config allows are carried whole', () => {
  const target = `/${'a'.repeat(16 * 1024 - 1)}`;
  const request = {
    ...PLAIN,
    path: target,
    pathAccountKey: '東'.repeat(16 * 1024),
    headerBlock: '東'.repeat(64 * 1024),
  };
  const { message, start, end } = framed((writer) => writeRequest(writer, 1, request));
  assert.ok(requestIsWhole(message, start, end));
  assert.deepEqual([targetOf(message, start), accountKeyOf(message, start)], [target, request.pathAccountKey]);
  assert.equal(headerBlockOf(message, start), request.headerBlock);
});
