import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BATCH_BYTES_MAX,
  LINK_STREAMS_MAX,
  NOTICE_BYTES_MAX,
  REPLIES_HELD_BYTES_MAX,
} from '../../../../shared/constants.ts';
import { ERROR_KINDS } from '../../../../shared/errors.ts';
import { FRAME_TYPE } from '../../../../shared/link/frame.ts';
import type { Link } from '../../../../shared/link/link.ts';
import { messageBytesMaxOf } from '../../../../shared/link/link-settings.ts';
import { frameOf } from '../../../support/frames.ts';
import {
  handPlayedDialer,
  linkPair,
  openPair,
  RecordingOwner,
  sendText,
  TEST_SETTINGS,
  writeText,
} from '../../../support/link-pair.ts';

const MIB = 1024 * 1024;
const { REQUEST, REPLY, ERROR, CANCEL, PING, PONG, WINDOW, DRAIN, NOTICE, HELLO } = FRAME_TYPE;

/** Requests a server half was given, in order. */
interface Received {
  readonly link: Link;
  readonly streamId: number;
  readonly text: string;
}

function serving(): { received: Received[]; onRequest: (l: Link, s: number, m: Buffer, a: number, b: number) => void } {
  const received: Received[] = [];
  return {
    received,
    onRequest(link, streamId, message, start, end) {
      received.push({ link, streamId, text: message.toString('latin1', start + 16, end) });
      link.releaseReceived(end - start);
    },
  };
}

test('a request is answered to its owner, and the slot is free again', () => {
  const server = serving();
  const { dialer, settle } = openPair({ listenerHandlers: server });
  const owner = new RecordingOwner();
  sendText(dialer, owner, 'hello');
  settle();
  assert.deepEqual([server.received[0]?.text, dialer.inFlight], ['hello', 1]);
  writeText(server.received[0]?.link as Link, REPLY, server.received[0]?.streamId as number, 'answer');
  settle();
  assert.deepEqual(owner.heard, [{ kind: 'reply', text: 'answer' }]);
  assert.equal(dialer.inFlight, 0);
});

test('K1: frames written in one turn leave in one message', () => {
  const { dialer, dialerWire, clock } = openPair({ listenerHandlers: serving() });
  const before = dialerWire.sent.length;
  for (const text of ['a', 'b', 'c']) sendText(dialer, new RecordingOwner(), text);
  assert.equal(dialerWire.sent.length, before);
  clock.settle();
  assert.equal(dialerWire.sent.length, before + 1);
});

test('K1: a batch that has grown large enough leaves before the turn ends', () => {
  const { dialer, dialerWire } = openPair({ listenerHandlers: serving() });
  const before = dialerWire.sent.length;
  sendText(dialer, new RecordingOwner(), 'x'.repeat(BATCH_BYTES_MAX));
  assert.equal(dialerWire.sent.length, before + 1);
});

test('K1: no message grows past what the other end takes, also not of notices', () => {
  const { dialer, dialerWire, settle } = openPair();
  for (let count = 0; count < 4; count++) assert.ok(dialer.notify('t', 'x'.repeat(NOTICE_BYTES_MAX - 2)));
  settle();
  assert.ok(dialer.open);
  const longest = Math.max(...dialerWire.sent.map((message) => message.length));
  assert.ok(longest <= messageBytesMaxOf(TEST_SETTINGS), `a message of ${longest} bytes`);
});

test('K1: no message grows past what the other end takes, also not of replies that were held', () => {
  const { link, wire, say } = handPlayedDialer({ onRequest: () => {} }, 7 * MIB);
  for (let streamId = 1; streamId <= 14; streamId++) writeText(link, REPLY, streamId, 'x'.repeat(MIB));
  assert.equal(wire.framesOf(REPLY).length, 7);
  say(frameOf({ type: WINDOW, amount: 7 * MIB }));
  assert.equal(wire.framesOf(REPLY).length, 14);
  const longest = Math.max(...wire.sent.map((message) => message.length));
  assert.ok(longest <= messageBytesMaxOf(TEST_SETTINGS), `a message of ${longest} bytes`);
});

test('K2: a link that breaks tells every waiting owner once, and its handler after them', () => {
  let toldLast = false;
  const owners = [new RecordingOwner(), new RecordingOwner()];
  const pair = openPair({
    listenerHandlers: serving(),
    dialerHandlers: {
      onClosed: () => {
        toldLast = owners.every(({ heard }) => heard.length === 1);
      },
    },
  });
  for (const owner of owners) sendText(pair.dialer, owner, 'x');
  pair.settle();
  pair.breakWire();
  pair.breakWire();
  for (const owner of owners) assert.deepEqual(owner.heard, [{ kind: 'lost', text: 'LINK_CLOSED' }]);
  assert.ok(toldLast);
  assert.deepEqual([pair.dialer.inFlight, pair.dialer.writable], [0, false]);
});

test('K2: a cancelled owner hears nothing more, and the peer hears of the cancel', () => {
  const server = serving();
  const cancelled: number[] = [];
  const listenerHandlers = { ...server, onCancel: (_link: Link, streamId: number) => void cancelled.push(streamId) };
  const { dialer, settle, breakWire } = openPair({ listenerHandlers });
  const owner = new RecordingOwner();
  const streamId = sendText(dialer, owner, 'x');
  settle();
  dialer.cancelStream(streamId);
  dialer.cancelStream(streamId);
  settle();
  writeText(server.received[0]?.link as Link, REPLY, streamId, 'late');
  settle();
  breakWire();
  assert.deepEqual([owner.heard, cancelled], [[], [streamId]]);
});

test('K2: a second answer to one request reaches nobody', () => {
  const server = serving();
  const { dialer, listener, settle } = openPair({ listenerHandlers: server });
  const owner = new RecordingOwner();
  const streamId = sendText(dialer, owner, 'x');
  settle();
  writeText(listener, ERROR, streamId, 'first');
  writeText(listener, REPLY, streamId, 'second');
  settle();
  assert.deepEqual(owner.heard, [{ kind: 'error', text: 'first' }]);
  assert.equal(dialer.inFlight, 0);
});

test('K3: a late answer never reaches the next owner of the slot', () => {
  const server = serving();
  const { dialer, listener, settle } = openPair({ listenerHandlers: server });
  const first = sendText(dialer, new RecordingOwner(), 'first');
  settle();
  dialer.cancelStream(first);
  const owner = new RecordingOwner();
  const second = sendText(dialer, owner, 'second');
  assert.equal(second & 0xffff, first & 0xffff, 'expected the slot to be used again');
  writeText(listener, REPLY, first, 'late');
  settle();
  assert.deepEqual(owner.heard, []);
  writeText(listener, REPLY, second, 'mine');
  settle();
  assert.deepEqual(owner.heard, [{ kind: 'reply', text: 'mine' }]);
});

test('an answer to a stream that never was is dropped', () => {
  const { dialer, listener, settle } = openPair();
  writeText(listener, REPLY, 0xffff_ffff, 'x');
  writeText(listener, REPLY, 0, 'x');
  settle();
  assert.ok(dialer.open);
});

test('a link takes no more requests than it has streams', () => {
  const { dialer } = openPair();
  const owner = new RecordingOwner();
  for (let count = 0; count < LINK_STREAMS_MAX; count++) {
    assert.ok(dialer.writable);
    dialer.openStream(owner);
  }
  assert.ok(!dialer.writable);
});

test('K4: what the peer has not taken up stops the sender, and what it takes up lets it go on', () => {
  const waiting: { link: Link; bytes: number }[] = [];
  let granted = 0;
  const { dialer, settle } = openPair({
    listenerHandlers: {
      onRequest: (link, _id, _message, start, end) => void waiting.push({ link, bytes: end - start }),
    },
    dialerHandlers: { onWindow: () => void granted++ },
  });
  let sent = 0;
  while (dialer.writable) {
    sendText(dialer, new RecordingOwner(), 'x'.repeat(MIB));
    sent++;
    settle();
  }
  assert.deepEqual([sent, granted], [8, 0]);
  for (const { link, bytes } of waiting) link.releaseReceived(bytes);
  settle();
  assert.ok(granted > 0 && dialer.writable && dialer.open);
});

test('K4: a peer that overruns the window is cut off with the reason', () => {
  const { link, wire, say } = handPlayedDialer({ onRequest: () => {} });
  const frame = frameOf({ type: REQUEST, streamId: 1, payload: Buffer.alloc(4 * MIB) });
  for (let count = 0; count < 3; count++) say(frame);
  assert.ok(link.open);
  say(frame);
  assert.equal(wire.closedWith?.code, 4000 + ERROR_KINDS.LINK_WINDOW_OVERRUN.wire);
});

test('K4: answers count against the window too, and are held in order until the peer has taken some up', () => {
  const { link, wire, say } = handPlayedDialer({ onRequest: () => {} }, 1024);
  for (const [streamId, text] of ['x'.repeat(2_000), 'second', 'third'].entries())
    writeText(link, REPLY, streamId, text);
  say(frameOf({ type: WINDOW, amount: 500 }));
  assert.equal(wire.framesOf(REPLY).length, 1);
  say(frameOf({ type: WINDOW, amount: 1_516 }));
  writeText(link, REPLY, 4, 'fourth');
  say(frameOf({ type: PING }));
  assert.deepEqual(
    wire.framesOf(REPLY).map(({ payload }) => payload.toString().slice(0, 6)),
    ['xxxxxx', 'second', 'third', 'fourth'],
  );
});

test('K4: a peer that asks and never takes its answers up is cut off, so that memory stays bounded', () => {
  const { link, wire } = handPlayedDialer({ onRequest: () => {} }, 1024);
  const text = 'x'.repeat(4 * MIB);
  for (let bytes = 0; bytes <= REPLIES_HELD_BYTES_MAX + 4 * MIB; bytes += 4 * MIB) writeText(link, REPLY, 1, text);
  assert.equal(wire.closedWith?.code, 4000 + ERROR_KINDS.LINK_BACKPRESSURE.wire);
});

test('a silent peer is dead after the limit', () => {
  const { dialer, clock, dialerWire } = openPair();
  clock.run(TEST_SETTINGS.pongDeadMs - 250, 250);
  assert.ok(dialer.open);
  clock.run(750, 250);
  assert.equal(dialer.state.kind, 'closed');
  assert.equal(dialerWire.closedWith?.code, 4000 + ERROR_KINDS.LINK_PEER_SILENT.wire);
});

test('a peer that answers PING lives on, and its load report is known', () => {
  const loadReport = () => ({ queueDepth: 7, inFlight: 3, draining: true });
  const { dialer, listener, clock, settle } = openPair({ listenerHandlers: { loadReport } });
  for (let elapsedMs = 0; elapsedMs < 20_000; elapsedMs += 250) {
    clock.advance(250);
    settle();
  }
  assert.ok(dialer.open && listener.open);
  assert.deepEqual(dialer.peerLoad, { queueDepth: 7, inFlight: 3, draining: true });
});

test('the time from PING to PONG is measured', () => {
  const { dialer, clock, settle } = openPair();
  clock.advance(250);
  clock.settle();
  clock.stall(40);
  settle();
  assert.equal(dialer.heartbeat.pongMs, 40);
});

test('K5: a process that was itself stopped does not take that for its peer’s silence', () => {
  const { dialer, clock, settle } = openPair();
  clock.stall(60_000);
  clock.advance(250);
  assert.ok(dialer.open);
  settle();
  assert.ok(dialer.open);
});

test('K5: a link that is still greeting does not outlive its time by that', () => {
  const { dialer, clock } = linkPair();
  clock.stall(60_000);
  clock.advance(250);
  assert.equal(dialer.state.kind, 'closed');
});

test('a peer that never greets is given up on', () => {
  const { dialer, dialerWire, clock } = linkPair();
  clock.run(2_999, 50);
  assert.equal(dialer.state.kind, 'greeting');
  clock.run(500, 50);
  assert.equal(dialerWire.closedWith?.code, 4000 + ERROR_KINDS.LINK_HELLO_TIMEOUT.wire);
});

test('garbage before the greeting closes with a typed reason, and tells only onClosed', () => {
  const told: string[] = [];
  const { dialer, dialerWire } = linkPair({
    dialerHandlers: { onOpen: () => void told.push('open'), onClosed: (_link, { code }) => void told.push(code) },
  });
  dialer.receive(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  assert.deepEqual(told, ['LINK_FRAME_INVALID']);
  assert.equal(dialerWire.closedWith?.code, 4000 + ERROR_KINDS.LINK_FRAME_INVALID.wire);
});

test('frames behind the one that closes a link are not handled', () => {
  const server = serving();
  const { say, link } = handPlayedDialer(server);
  say(frameOf({ type: REQUEST, streamId: 1 }), frameOf({ type: HELLO }), frameOf({ type: REQUEST, streamId: 2 }));
  assert.deepEqual([server.received.map(({ streamId }) => streamId), link.state.kind], [[1], 'closed']);
});

const FAULTS: Record<string, readonly [frame: Buffer, code: keyof typeof ERROR_KINDS]> = {
  'a HELLO on an open link': [frameOf({ type: HELLO }), 'LINK_FRAME_INVALID'],
  'a PONG without its report': [frameOf({ type: PONG }), 'LINK_FRAME_INVALID'],
  'a NOTICE whose topic is longer than it': [frameOf({ type: NOTICE, code: 99 }), 'LINK_FRAME_INVALID'],
  'a NOTICE that is no JSON': [frameOf({ type: NOTICE, code: 1, payload: 't{' }), 'LINK_FRAME_INVALID'],
  'a REQUEST where none are served': [frameOf({ type: REQUEST }), 'LINK_ROLE_REFUSED'],
  'an empty message': [Buffer.alloc(0), 'LINK_FRAME_INVALID'],
  'half a frame': [frameOf({ type: PING }).subarray(0, 15), 'LINK_FRAME_TRUNCATED'],
};
for (const [what, [frame, code]] of Object.entries(FAULTS)) {
  test(`${what} closes an open link with ${code}`, () => {
    const { say, wire, link } = handPlayedDialer();
    say(frame);
    assert.deepEqual([link.state.kind, wire.closedWith?.code], ['closed', 4000 + ERROR_KINDS[code].wire]);
  });
}

test('a close reason always fits a WebSocket close frame, whatever the peer made it of', () => {
  const { dialer, dialerWire } = linkPair();
  dialer.close('LINK_CLUSTER_MISMATCH', 'é€😀'.repeat(60));
  const reason = dialerWire.closedWith?.reason ?? '';
  assert.ok(Buffer.byteLength(reason) <= 123 && Buffer.byteLength(reason) > 100, `${Buffer.byteLength(reason)} bytes`);
  assert.ok(reason.isWellFormed());
});

test('what was written before a close still leaves', () => {
  const { listener, listenerWire } = openPair();
  writeText(listener, REPLY, 1, 'last words');
  listener.close('LINK_CLOSED', 'stopping');
  assert.equal(listenerWire.framesOf(REPLY)[0]?.payload.toString(), 'last words');
});

test('a closed link takes nothing and says nothing more', () => {
  const { dialer, dialerWire, clock, settle } = openPair();
  dialer.close('LINK_CLOSED', 'stopping');
  const said = dialerWire.sent.length;
  dialer.cancelStream(1);
  dialer.announceDrain();
  dialer.releaseReceived(100 * MIB);
  dialer.receive(frameOf({ type: PING }));
  assert.equal(dialer.notify('t', 1), false);
  clock.advance(10_000);
  settle();
  assert.equal(dialerWire.sent.length, said);
});

test('a closed link leaves no timer behind', () => {
  const { dialer, listener, clock } = openPair();
  assert.equal(clock.pendingTimers, 2);
  dialer.close('LINK_CLOSED', 'stopping');
  listener.close('LINK_CLOSED', 'stopping');
  assert.equal(clock.pendingTimers, 0);
});

test('a draining peer gets no new requests, and those in flight are answered', () => {
  const server = serving();
  let told = 0;
  const pair = openPair({ listenerHandlers: server, dialerHandlers: { onPeerDraining: () => void told++ } });
  const owner = new RecordingOwner();
  const streamId = sendText(pair.dialer, owner, 'x');
  pair.settle();
  pair.listener.announceDrain();
  pair.settle();
  assert.deepEqual(
    [pair.dialer.writable, pair.dialer.open, pair.dialer.state.kind, told],
    [false, true, 'draining', 1],
  );
  writeText(pair.listener, REPLY, streamId, 'done');
  pair.settle();
  assert.deepEqual(owner.heard, [{ kind: 'reply', text: 'done' }]);
  assert.equal(pair.dialerWire.framesOf(DRAIN).length, 0);
});

test('a notice arrives as it was sent; one that is too large is not sent', () => {
  const heard: unknown[] = [];
  const { dialer, settle } = openPair({
    listenerHandlers: { onNotice: (_link, topic, value) => void heard.push([topic, value]) },
  });
  assert.equal(dialer.notify('state', { epoch: 3, name: 'é' }), true);
  assert.equal(dialer.notify('state', 'x'.repeat(NOTICE_BYTES_MAX)), false);
  settle();
  assert.deepEqual(heard, [['state', { epoch: 3, name: 'é' }]]);
});

test('a link knows its peer once it is open, and not before', () => {
  const pair = linkPair();
  assert.throws(() => pair.dialer.peer, { code: 'LINK_HELLO_EXPECTED' });
  pair.settle();
  assert.deepEqual(pair.dialer.peer, { role: 'app', serverId: 'a1', incarnation: '00000000000000a1' });
  assert.deepEqual(pair.listener.peer, { role: 'dispatcher', serverId: 'd1', incarnation: '00000000000000d1' });
});

test('a CANCEL for a stream that never was reaches the handler, and harms nothing', () => {
  const cancelled: number[] = [];
  const { say, link } = handPlayedDialer({ onCancel: (_link, streamId) => void cancelled.push(streamId) });
  say(frameOf({ type: CANCEL, streamId: 77 }));
  assert.deepEqual([cancelled, link.open], [[77], true]);
});
