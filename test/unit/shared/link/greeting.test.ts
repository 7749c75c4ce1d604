import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HELLO_BYTES_MAX } from '../../../../shared/constants.ts';
import { FRAME_TYPE, FrameWriter } from '../../../../shared/link/frame.ts';
import { dialerGreeter, listenerGreeter } from '../../../../shared/link/greeter.ts';
import {
  type Hello,
  helloOf,
  type LinkIdentity,
  proofOf,
  readHello,
  sameProof,
} from '../../../../shared/link/greeting.ts';
import { frameOf, framesIn } from '../../../support/frames.ts';
import { APP, identity } from '../../../support/link-pair.ts';
import '../../../support/property-runs.ts';

const DIALER: LinkIdentity = identity();
const NONCE = 'd'.repeat(32);
const WINDOW = 1024 * 1024;
const expected = { role: 'app' as const };

function hello(fields: Record<string, unknown> = {}, frame: { type?: number; code?: number } = {}): Buffer {
  const payload = JSON.stringify({ ...helloOf(DIALER, NONCE, WINDOW), ...fields });
  return frameOf({ type: FRAME_TYPE.HELLO, code: 1, ...frame, payload });
}

/** What a listener says to one frame: the code it refuses with, the peer it accepts, or undefined while it waits. */
function heardByListener(frame: Buffer): string | undefined {
  const outcome = listenerGreeter(APP, 'e'.repeat(32), ['dispatcher']).onFrame(
    frame[4] as number,
    frame,
    0,
    frame.length,
    new FrameWriter(1024),
  );
  if (outcome === undefined) return undefined;
  return 'code' in outcome ? outcome.code : outcome.peer.serverId;
}

test('a HELLO of the same version, cluster and an accepted role is answered', () => {
  assert.equal(heardByListener(hello()), undefined);
});

const REFUSED: Record<string, readonly [frame: Buffer, code: string]> = {
  'another version': [hello({}, { code: 2 }), 'LINK_VERSION_MISMATCH'],
  'another version whose payload this one cannot read': [
    frameOf({ type: FRAME_TYPE.HELLO, code: 9, payload: '\x00' }),
    'LINK_VERSION_MISMATCH',
  ],
  'another cluster': [hello({ cluster: 'other' }), 'LINK_CLUSTER_MISMATCH'],
  'a role not accepted here': [hello({ role: 'interface' }), 'LINK_ROLE_REFUSED'],
  'a role that does not exist': [hello({ role: 'admin' }), 'LINK_FRAME_INVALID'],
  'no server id': [hello({ serverId: '' }), 'LINK_FRAME_INVALID'],
  'a server id of several lines': [hello({ serverId: 'd1\nx' }), 'LINK_FRAME_INVALID'],
  'a nonce that is too short': [hello({ nonce: 'dd' }), 'LINK_FRAME_INVALID'],
  'an incarnation that is no hex': [hello({ incarnation: 'z'.repeat(16) }), 'LINK_FRAME_INVALID'],
  'a window of nothing': [hello({ windowBytes: 0 }), 'LINK_FRAME_INVALID'],
  'more bytes than a HELLO needs': [hello({ more: 'x'.repeat(HELLO_BYTES_MAX) }), 'LINK_FRAME_INVALID'],
  'a cluster whose length cannot be compared': [hello({ cluster: { length: { toString: 1 } } }), 'LINK_FRAME_INVALID'],
  'no JSON': [frameOf({ type: FRAME_TYPE.HELLO, code: 1, payload: '{' }), 'LINK_FRAME_INVALID'],
  'AUTH first': [hello({}, { type: FRAME_TYPE.AUTH }), 'LINK_HELLO_EXPECTED'],
  'a REQUEST first': [hello({}, { type: FRAME_TYPE.REQUEST }), 'LINK_HELLO_EXPECTED'],
};
for (const [what, [frame, code]] of Object.entries(REFUSED)) {
  test(`${what} is refused with ${code}`, () => assert.equal(heardByListener(frame), code));
}

test('any payload of a HELLO or AUTH is answered or refused, never thrown at', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 100 }), fc.json(), (type, bytes, json) => {
      heardByListener(frameOf({ type, code: 1, payload: bytes }));
      heardByListener(frameOf({ type, code: 1, payload: json }));
    }),
  );
});

test('the token itself never travels', () => {
  const said = new FrameWriter(1024);
  dialerGreeter(DIALER, NONCE, expected).begin(said);
  const own = framesIn(said.packed());
  assert.equal(own.length, 1);
  const answer = new FrameWriter(1024);
  const frame = Buffer.from(said.packed());
  listenerGreeter(APP, 'e'.repeat(32), ['dispatcher']).onFrame(FRAME_TYPE.HELLO, frame, 0, frame.length, answer);
  for (const text of [said.packed().toString(), answer.packed().toString()]) assert.ok(!text.includes(DIALER.token));
});

/** Plays the listener's answer to a dialer. @returns the code it refuses with, or the peer's id */
function heardByDialer(answer: Partial<Hello>, serverId?: string): string | undefined {
  const greeter = dialerGreeter(DIALER, NONCE, { ...expected, serverId });
  const writer = new FrameWriter(1024);
  const frame = frameOf({ type: FRAME_TYPE.HELLO, code: 1, payload: JSON.stringify(answer) });
  const outcome = greeter.onFrame(FRAME_TYPE.HELLO, frame, 0, frame.length, writer);
  if (outcome === undefined) return undefined;
  if ('code' in outcome) {
    assert.equal(writer.at, 0, 'expected no AUTH for a peer that is refused');
    return outcome.code;
  }
  return outcome.peer.serverId;
}

const dialerHello = helloOf(DIALER, NONCE, WINDOW);
const appHello = helloOf(APP, 'e'.repeat(32), WINDOW);

test('a dialer takes the listener that proves the token', () => {
  assert.equal(heardByDialer({ ...appHello, proof: proofOf('the token', 'listener', dialerHello, appHello) }), 'a1');
});

test('a dialer refuses a listener without a proof, with another token’s, with its own direction’s, or with another nonce’s', () => {
  const reflected = proofOf('the token', 'dialer', dialerHello, appHello);
  const replayed = proofOf('the token', 'listener', { ...dialerHello, nonce: 'f'.repeat(32) }, appHello);
  for (const proof of [undefined, '', proofOf('other token', 'listener', dialerHello, appHello), reflected, replayed]) {
    assert.equal(heardByDialer({ ...appHello, ...(proof === undefined ? {} : { proof }) }), 'LINK_TOKEN_REFUSED');
  }
});

test('a dialer refuses a server of another role or id than the config has at this address', () => {
  const other = helloOf(identity({ ...APP, serverId: 'a2' }), 'e'.repeat(32), WINDOW);
  const proof = proofOf('the token', 'listener', dialerHello, other);
  assert.equal(heardByDialer({ ...other, proof }, 'a1'), 'LINK_ROLE_REFUSED');
  assert.equal(heardByDialer({ ...other, proof }, 'a2'), 'a2');
  const coordinator = helloOf(identity({ ...APP, role: 'coordinator' }), 'e'.repeat(32), WINDOW);
  const itsProof = proofOf('the token', 'listener', dialerHello, coordinator);
  assert.equal(heardByDialer({ ...coordinator, proof: itsProof }), 'LINK_ROLE_REFUSED');
});

/** A listener greeted by `dialerHello`. @returns what it says to an AUTH with this proof */
function authOutcome(proofFrom: (listenerHello: Hello) => unknown): string | undefined {
  const greeter = listenerGreeter(APP, 'e'.repeat(32), ['dispatcher']);
  const writer = new FrameWriter(1024);
  const first = frameOf({ type: FRAME_TYPE.HELLO, code: 1, payload: JSON.stringify(dialerHello) });
  assert.equal(greeter.onFrame(FRAME_TYPE.HELLO, first, 0, first.length, writer), undefined);
  const answer = framesIn(writer.packed())[0];
  const listenerHello = JSON.parse(answer?.payload.toString() ?? '') as Hello;
  const auth = frameOf({
    type: FRAME_TYPE.AUTH,
    code: 1,
    payload: JSON.stringify({ proof: proofFrom(listenerHello) }),
  });
  const outcome = greeter.onFrame(FRAME_TYPE.AUTH, auth, 0, auth.length, writer);
  if (outcome === undefined) return undefined;
  return 'code' in outcome ? outcome.code : outcome.peer.serverId;
}

test('a listener takes the dialer that proves the token, and no other', () => {
  assert.equal(
    authOutcome((listener) => proofOf('the token', 'dialer', dialerHello, listener)),
    'd1',
  );
  assert.equal(
    authOutcome((listener) => proofOf('other token', 'dialer', dialerHello, listener)),
    'LINK_TOKEN_REFUSED',
  );
  assert.equal(
    authOutcome(() => 42),
    'LINK_TOKEN_REFUSED',
  );
});

test('the listener’s own proof, reflected, is refused', () => {
  assert.equal(
    authOutcome((listener) => listener.proof),
    'LINK_TOKEN_REFUSED',
  );
});

test('a second HELLO instead of AUTH is refused', () => {
  const greeter = listenerGreeter(APP, 'e'.repeat(32), ['dispatcher']);
  const writer = new FrameWriter(1024);
  const first = hello();
  greeter.onFrame(FRAME_TYPE.HELLO, first, 0, first.length, writer);
  const outcome = greeter.onFrame(FRAME_TYPE.HELLO, first, 0, first.length, writer);
  assert.ok(outcome !== undefined && 'code' in outcome && outcome.code === 'LINK_HELLO_EXPECTED');
});

test('a proof covers every field that says who a peer is', () => {
  const right = proofOf('the token', 'listener', dialerHello, appHello);
  const changes = [
    { cluster: 'c' },
    { role: 'tool' },
    { serverId: 'x' },
    { incarnation: 'f'.repeat(16) },
    { nonce: 'a'.repeat(32) },
  ];
  for (const change of changes) {
    const changed = { ...change } as Partial<Hello>;
    assert.ok(!sameProof(right, proofOf('the token', 'listener', { ...dialerHello, ...changed }, appHello)));
    assert.ok(!sameProof(right, proofOf('the token', 'listener', dialerHello, { ...appHello, ...changed })));
  }
});

test('a HELLO survives its own writing and reading', () => {
  const frame = hello();
  assert.deepEqual(readHello(frame, 0, frame.length, 'test'), dialerHello);
});
