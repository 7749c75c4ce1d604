/** What reads the bytes of a link: frames, greetings, envelopes, load reports, close codes, and a whole open link. */
import assert from 'node:assert/strict';
import {
  accountKeyOf,
  errorWireOf,
  forwardAnswer,
  forwardRequest,
  headerBlockOf,
  methodOf,
  queryOf,
  REPLY_HEAD_BYTES,
  readError,
  replyHeaderBytesOf,
  replyIsWhole,
  requestBodyAt,
  requestIsWhole,
  statusOf,
  targetOf,
  traceparentOf,
  writeError,
  writeReply,
} from '../../../shared/envelope.ts';
import { ERROR_KINDS, PlatformError } from '../../../shared/errors.ts';
import { FRAME_TYPE, FrameWriter } from '../../../shared/link/frame.ts';
import { readFrames } from '../../../shared/link/frame-reader.ts';
import { dialerGreeter, type Greeter, listenerGreeter } from '../../../shared/link/greeter.ts';
import { type Hello, helloOf, proofOf, readAuth, readHello } from '../../../shared/link/greeting.ts';
import { Link } from '../../../shared/link/link.ts';
import { closeReason, closeText } from '../../../shared/link/link-transport.ts';
import { readPong, writePong } from '../../../shared/link/load-report.ts';
import { silentLogger } from '../../../shared/log.ts';
import { Tick } from '../../../shared/queue/tick.ts';
import { closePayload, ServerFrameReader } from '../../../shared/websocket-frames.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { frameOf } from '../../support/frames.ts';
import { APP, identity, TEST_SETTINGS } from '../../support/link-pair.ts';
import type { Chance } from '../../support/mutation.ts';
import { parserTest } from '../../support/parser-property.ts';
import { headFor } from '../../support/raw-web-socket.ts';
import { requestFrame } from '../../support/request-frame.ts';

const FRAME_BYTES_MAX = 4_096;
const DIALER = identity();
const NONCE = 'd'.repeat(32);

function written(write: (writer: FrameWriter) => void): Buffer {
  const writer = new FrameWriter(256);
  write(writer);
  return Buffer.from(writer.packed());
}

/** The same frame twice, amid other bytes: a reader that looks outside it sees two things. */
function amid(frame: Buffer, filler: number): { message: Buffer; start: number; end: number } {
  const start = 24;
  const message = Buffer.alloc(start + frame.length + 64, filler);
  frame.copy(message, start);
  return { message, start, end: start + frame.length };
}

const REQUESTS = [
  requestFrame(),
  requestFrame({ pathAccountKey: 'alice', target: '/accounts/alice?full=1&x=%20', headerBlock: 'host:x\nacc:y\n' }),
  requestFrame({ method: 'POST', body: '{"a":1}', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }),
].map(({ message, start, end }) => message.subarray(start, end));

const NO_TIMES = { queueMicros: 1, dispatchMicros: 2, handlerMicros: 3, dbMicros: 4 };
const REPLIES = ['', '{"balance":5}'].map((body) =>
  written((writer) => {
    writeReply(writer, 5, { status: 200, headers: 'content-type: application/json\r\n', body }, NO_TIMES);
    writer.endFrame();
  }),
);

const ERRORS = [
  new PlatformError('QUEUE_FULL', 'try again'),
  new PlatformError('SERVICE_PROBLEM', 'no', { status: 418, title: 'Teapot', problem: 'teapot' }),
].map((error) =>
  written((writer) => {
    writeError(writer, 5, error, { group: 'g1', servedBy: 'g1a' }, { retryAfterMs: 5 });
    writer.endFrame();
  }),
);

const NOTICES = ['state{"epoch":3}', 'reach{"groups":["g1"]}', 'x[]'].map((payload) =>
  frameOf({ type: FRAME_TYPE.NOTICE, code: payload.search(/[[{]/), payload }),
);

const BARE = [FRAME_TYPE.CANCEL, FRAME_TYPE.PING, FRAME_TYPE.WINDOW, FRAME_TYPE.DRAIN].map((type) =>
  frameOf({ type, streamId: 65_536, amount: type === FRAME_TYPE.WINDOW ? 0 : 1_000 }),
);

const PONG = written((writer) => writePong(writer, 7, { queueDepth: 3, inFlight: 4, draining: true }));

parserTest('frames of a message', {
  samples: [...REQUESTS, Buffer.concat([...BARE, ...REPLIES]), Buffer.concat([...NOTICES, PONG]), ERRORS[0] as Buffer],
  parse(message) {
    let at = 0;
    const fault = readFrames(
      message,
      FRAME_BYTES_MAX,
      (_type, told, start, end) => {
        assert.ok(told === message && start === at && end - start >= 16 && end - start <= FRAME_BYTES_MAX);
        assert.ok(end <= message.length);
        at = end;
      },
      () => true,
    );
    if (fault === undefined) assert.equal(at, message.length);
    else assert.match(fault.code, /^LINK_FRAME_(INVALID|TOO_LARGE|TRUNCATED)$/);
    return fault === undefined;
  },
});

function everythingOf(message: Buffer, start: number, end: number): string[] {
  const body = message.toString('latin1', requestBodyAt(message, start), end);
  const read = [accountKeyOf, methodOf, targetOf, queryOf, traceparentOf, headerBlockOf];
  return [...read.map((one) => one(message, start)), body];
}

parserTest('REQUEST', {
  samples: REQUESTS,
  parse(frame) {
    const one = amid(frame, 0xaa);
    const other = amid(frame, 0x55);
    const whole = requestIsWhole(one.message, one.start, one.end);
    assert.equal(whole, requestIsWhole(other.message, other.start, other.end));
    if (!whole) return false;
    const read = everythingOf(one.message, one.start, one.end);
    assert.deepEqual(read, everythingOf(other.message, other.start, other.end));
    const handedOn = written((writer) => {
      const found = { accountKey: null, accountKeyStart: 0, accountKeyEnd: 0 };
      const change = { remainingMs: 1, bucketMapEpoch: 2, bucket: 3, attempt: 0, waitedMicros: 4, ...found };
      forwardRequest(writer, 9, one, change);
      writer.endFrame();
    });
    assert.ok(requestIsWhole(handedOn, 0, handedOn.length));
    assert.deepEqual(everythingOf(handedOn, 0, handedOn.length), read);
    return true;
  },
});

parserTest('REPLY', {
  samples: REPLIES,
  parse(frame) {
    const one = amid(frame, 0xaa);
    const other = amid(frame, 0x55);
    const whole = replyIsWhole(one.message, one.start, one.end);
    assert.equal(whole, replyIsWhole(other.message, other.start, other.end));
    if (!whole) return false;
    const bodyAt = one.start + REPLY_HEAD_BYTES + replyHeaderBytesOf(one.message, one.start);
    assert.ok(bodyAt <= one.end);
    assert.ok(statusOf(one.message, one.start) >= 200 && statusOf(one.message, one.start) <= 599);
    return true;
  },
});

const HEADER_VALUE = /^[\x20-\x7e]{1,64}$/;

parserTest('ERROR', {
  samples: ERRORS,
  parse(frame) {
    if (frame.length < 16) return false; // the frame reader refuses it
    const { message, start, end } = amid(frame, 0x55);
    const { error, by, retryAfterMs } = readError(message, start, end);
    assert.ok(error instanceof PlatformError && error.code in ERROR_KINDS);
    assert.ok(typeof error.detail === 'string' && typeof error.title === 'string');
    assert.ok(Number.isInteger(error.status) && error.status >= 400 && error.status <= 599, `status ${error.status}`);
    for (const name of [by.group, by.servedBy]) if (name !== undefined) assert.match(name, HEADER_VALUE);
    if (error.problem !== undefined) assert.equal(typeof error.problem, 'string');
    assert.ok(retryAfterMs >= 0);
    const again = written((writer) => {
      forwardAnswer(writer, 6, { message, start, end }, null, true);
      writer.endFrame();
    });
    assert.equal(errorWireOf(again, 0), errorWireOf(message, start));
    return true;
  },
});

const dialerHello = helloOf(DIALER, NONCE, 8_192);
const bareListenerHello = helloOf(APP, 'e'.repeat(32), 8_192);
const listenerHello: Hello = {
  ...bareListenerHello,
  proof: proofOf(DIALER.token, 'listener', dialerHello, bareListenerHello),
};
const greetingFrame = (type: number, value: unknown): Buffer =>
  frameOf({ type, code: 1, payload: JSON.stringify(value) });
const HELLOS = [greetingFrame(FRAME_TYPE.HELLO, dialerHello), greetingFrame(FRAME_TYPE.HELLO, listenerHello)];

parserTest('HELLO and AUTH', {
  samples: [...HELLOS, greetingFrame(FRAME_TYPE.AUTH, { proof: 'a'.repeat(64) })],
  parse(frame) {
    if (frame.length < 16) return false;
    const { message, start, end } = amid(frame, 0x7d);
    const auth = readAuth(message, start, end);
    if (auth !== undefined) assert.ok(auth.length <= 128);
    const hello = readHello(message, start, end, 'test');
    if ('code' in hello) return auth !== undefined;
    assert.match(hello.serverId, /^[\x21-\x7e]{1,64}$/);
    assert.ok(hello.windowBytes >= 1_024 && hello.windowBytes <= 2 ** 31);
    assert.deepEqual(
      readHello(greetingFrame(FRAME_TYPE.HELLO, hello), 0, greetingFrame(1, hello).length, 'test'),
      hello,
    );
    return true;
  },
});

/** Only who holds the token is greeted: a changed greeting never is, unless the change is in what no proof covers. */
function greeterParse(make: () => Greeter, firstFrames: readonly Buffer[]): (frame: Buffer, chance: Chance) => boolean {
  return (frame) => {
    if (frame.length < 16) return false;
    const greeter = make();
    const writer = new FrameWriter(512);
    for (const first of firstFrames) greeter.onFrame(first[4] as number, first, 0, first.length, writer);
    const { message, start, end } = amid(frame, 0x20);
    const outcome = greeter.onFrame(message[start + 4] as number, message, start, end, writer);
    if (outcome === undefined) return true;
    if ('code' in outcome) {
      assert.ok(outcome.code in ERROR_KINDS && outcome.detail.length > 0);
      return false;
    }
    assert.ok(['d1', 'a1'].includes(outcome.peer.serverId), `greeted ${outcome.peer.serverId}`);
    return true;
  };
}

parserTest('a dialer’s greeting', {
  samples: [HELLOS[1] as Buffer],
  parse: greeterParse(() => dialerGreeter(DIALER, NONCE, { role: 'app' }), []),
});
parserTest('a listener’s greeting', {
  samples: [greetingFrame(FRAME_TYPE.AUTH, { proof: proofOf(DIALER.token, 'dialer', dialerHello, bareListenerHello) })],
  parse: greeterParse(() => listenerGreeter(APP, 'e'.repeat(32), ['dispatcher']), [HELLOS[0] as Buffer]),
});

parserTest('PONG', {
  samples: [PONG],
  parse(frame) {
    if (frame.length < 16) return false;
    const { message, start, end } = amid(frame, 0xff);
    const report = readPong(message, start, end);
    if (report === undefined) return false;
    const again = written((writer) => writePong(writer, 1, report));
    assert.deepEqual(readPong(again, 0, again.length), report);
    return true;
  },
});

/** What a reader makes of bytes that come in pieces. */
function heardOf(pieces: readonly Buffer[]): string[] {
  const heard: string[] = [];
  const reader = new ServerFrameReader(200, {
    onMessage: (message) => void heard.push(`message ${message.toString('latin1')}`),
    onPing: (payload) => void heard.push(`ping ${payload.toString('latin1')}`),
    onCloseFrame: (code, reason) => void heard.push(`close ${code} ${reason}`),
    onFault: (code, reason) => void heard.push(`fault ${code} ${reason}`),
  });
  for (const piece of pieces) reader.push(piece);
  return heard;
}

const webSocketFrame = (first: number, payload: Buffer): Buffer =>
  Buffer.concat([headFor(first, payload.length, false), payload]);

parserTest('WebSocket frames of a server', {
  samples: [
    webSocketFrame(0x82, Buffer.from('hello')),
    Buffer.concat([webSocketFrame(0x82, Buffer.alloc(190, 'x')), webSocketFrame(0x89, Buffer.from('ping'))]),
    Buffer.concat([webSocketFrame(0x82, Buffer.alloc(0)), webSocketFrame(0x88, closePayload(4_060, 'why'))]),
  ],
  parse(input, chance) {
    const whole = heardOf([Buffer.from(input)]);
    const [first, second] = [chance.below(input.length + 1), chance.below(input.length + 1)].sort((a, b) => a - b);
    const pieces = [input.subarray(0, first), input.subarray(first, second), input.subarray(second)];
    assert.deepEqual(heardOf(pieces.map((piece) => Buffer.from(piece))), whole);
    const ends = whole.filter((each) => /^(close|fault)/.test(each)).length;
    assert.ok(ends === 0 || (ends === 1 && /^(close|fault)/.test(whole.at(-1) as string)), whole.join());
    return whole.some((each) => each.startsWith('message'));
  },
});

parserTest('a close code and its reason', {
  samples: [Buffer.from([0x0f, 0xdc, ...Buffer.from('the peer sent nothing')])],
  parse(input) {
    if (input.length < 2) return false;
    const [code, detail] = closeReason(input.readUInt16BE(0), closeText(input.toString('utf8', 2)));
    assert.ok(code in ERROR_KINDS);
    assert.ok(Buffer.byteLength(closeText(detail)) <= 123);
    return true;
  },
});

/** A link that takes whatever is said first for a greeting. */
function openLink(): Link {
  const link = new Link(
    {
      transport: { send: () => {}, bufferedBytes: 0, close: () => {} },
      greeter: { begin: () => {}, onFrame: () => ({ peer: DIALER, windowBytes: 8_192 }) },
      settings: { ...TEST_SETTINGS, frameBytesMax: FRAME_BYTES_MAX },
      handlers: { onRequest: (own, _streamId, _message, start, end) => own.releaseReceived(end - start) },
      log: silentLogger,
      clock: CLOCK,
      tick: TICK,
    },
    1_000,
  );
  link.receive(frameOf({ type: FRAME_TYPE.HELLO }));
  return link;
}

const CLOCK = new FakeClock();
const TICK = new Tick(CLOCK);
let open = openLink();

parserTest('an open link', {
  samples: [Buffer.concat(BARE), Buffer.concat([PONG, ...NOTICES]), Buffer.concat(REPLIES), ...ERRORS, ...REQUESTS],
  parse(message) {
    if (!open.open) open = openLink();
    open.receive(message);
    CLOCK.settle();
    if (open.state.kind === 'closed') assert.match(open.state.code, /^LINK_/);
    return open.open;
  },
});
