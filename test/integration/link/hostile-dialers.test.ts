/** Strangers at a listener's port: each is closed with a typed reason, and neither the process nor other links notice. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { before, test } from 'node:test';
import { LINK_GREETING_MAX } from '../../../shared/constants.ts';
import { ERROR_KINDS, type ErrorCode } from '../../../shared/errors.ts';
import { FRAME_TYPE } from '../../../shared/link/frame.ts';
import { helloOf } from '../../../shared/link/greeting.ts';
import type { Link } from '../../../shared/link/link.ts';
import { LINK_PATH } from '../../../shared/link/link-transport.ts';
import { splitAddress } from '../../../shared/web-server.ts';
import { eventually } from '../../support/eventually.ts';
import { fastClock } from '../../support/fast-clock.ts';
import { frameOf } from '../../support/frames.ts';
import { identity, TEST_SETTINGS } from '../../support/link-pair.ts';
import { ask, closedLater, dial, listen, opened, type RealListener } from './real-links.ts';

let server: RealListener;
let friend: Link;
before(async () => {
  server = await listen();
  closedLater(server.listener);
  friend = await opened(dial(server.address));
});

/** The link that was there all along still works, and is still the only one. */
async function assertUnharmed(): Promise<void> {
  assert.deepEqual(await ask(friend, 'still there?'), [{ kind: 'reply', text: 'still there?' }]);
  assert.equal(server.opened, 1);
}

interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A WebSocket that says what a test wants it to say. @returns how the listener closed it */
function stranger(messages: readonly (Uint8Array<ArrayBuffer> | string)[], address = server.address): Promise<Closed> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${address}${LINK_PATH}`);
    socket.onopen = () => {
      for (const message of messages) socket.send(message);
    };
    socket.onclose = ({ code, reason }) => resolve({ code, reason });
    socket.onerror = () => reject(new Error('expected the WebSocket to open'));
  });
}

const bytes = (buffer: Buffer): Uint8Array<ArrayBuffer> => Uint8Array.from(buffer);

function hello(fields: Record<string, unknown> = {}, code = 1): Uint8Array<ArrayBuffer> {
  const payload = JSON.stringify({ ...helloOf(identity(), 'd'.repeat(32), 1024 * 1024), ...fields });
  return bytes(frameOf({ type: FRAME_TYPE.HELLO, code, payload }));
}

const auth = bytes(frameOf({ type: FRAME_TYPE.AUTH, code: 1, payload: JSON.stringify({ proof: 'a'.repeat(64) }) }));

const oversize = frameOf({ type: FRAME_TYPE.REQUEST });
oversize.writeUInt32LE(TEST_SETTINGS.frameBytesMax + 1, 0);

const STRANGERS: Record<string, readonly [messages: (Uint8Array<ArrayBuffer> | string)[], code: ErrorCode]> = {
  garbage: [[bytes(Buffer.alloc(100, 0xff))], 'LINK_FRAME_INVALID'],
  'an empty message': [[new Uint8Array(0)], 'LINK_FRAME_INVALID'],
  'a text message': [['{"hello":"world"}'], 'LINK_FRAME_INVALID'],
  'a text message of a whole HELLO': [[Buffer.from(hello()).toString('latin1')], 'LINK_FRAME_INVALID'],
  'another version': [[hello({}, 2)], 'LINK_VERSION_MISMATCH'],
  'another cluster': [[hello({ cluster: 'other' })], 'LINK_CLUSTER_MISMATCH'],
  'another cluster with a name that makes a long reason': [
    [hello({ cluster: '😀'.repeat(32) })],
    'LINK_CLUSTER_MISMATCH',
  ],
  'a role that is not accepted': [[hello({ role: 'interface' })], 'LINK_ROLE_REFUSED'],
  'a wrong proof': [[hello(), auth], 'LINK_TOKEN_REFUSED'],
  'a request first': [[bytes(frameOf({ type: FRAME_TYPE.REQUEST }))], 'LINK_HELLO_EXPECTED'],
  'a PING between HELLO and AUTH': [[hello(), bytes(frameOf({ type: FRAME_TYPE.PING }))], 'LINK_HELLO_EXPECTED'],
  'half a frame': [[hello().slice(0, 50)], 'LINK_FRAME_TRUNCATED'],
  'half a head': [[hello().slice(0, 7)], 'LINK_FRAME_TRUNCATED'],
  'a frame that says it is too large': [[bytes(oversize)], 'LINK_FRAME_TOO_LARGE'],
};
for (const [what, [messages, code]] of Object.entries(STRANGERS)) {
  test(`${what} is closed with ${code}`, async () => {
    const { code: closeCode, reason } = await stranger(messages);
    assert.equal(closeCode, 4000 + ERROR_KINDS[code].wire);
    assert.ok(reason.length > 0);
    assert.equal(server.closed.at(-1), code);
    await assertUnharmed();
  });
}

test('a message larger than any frame may be is cut off by the WebSocket layer itself', async () => {
  const { code } = await stranger([new Uint8Array(TEST_SETTINGS.frameBytesMax * 2 + 1)]);
  assert.ok(code === 1006 || code === 1009, `closed with ${code}`);
  await assertUnharmed();
});

test('one that never greets is closed with LINK_HELLO_TIMEOUT', async () => {
  const fast = await listen({ clock: fastClock(20) });
  closedLater(fast.listener);
  const { code } = await stranger([], fast.address);
  assert.equal(code, 4000 + ERROR_KINDS.LINK_HELLO_TIMEOUT.wire);
});

/** Bytes over plain TCP. @returns what came back until the server, or `closeAfterMs`, ended it */
function overTcp(text: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const { host, port } = splitAddress(server.address);
    const socket = connect(port, host, () => socket.write(text));
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (answer.includes('\r\n\r\n')) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

test('an HTTP request is told that this is no place for it', async () => {
  for (const path of ['/', LINK_PATH, '/accounts/alice']) {
    const answer = await overTcp(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 426 /, path);
  }
  await assertUnharmed();
});

test('a WebSocket at another path is not a link', async () => {
  const upgrade =
    'host: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: rntlorhLTMPMIwHfaiIrPQ==';
  assert.match(await overTcp(`GET /other HTTP/1.1\r\n${upgrade}\r\n\r\n`), /^HTTP\/1\.1 426 /);
  await assertUnharmed();
});

test('bytes that are no HTTP at all are cut off', async () => {
  const answer = await overTcp(Buffer.alloc(64, 0xff));
  assert.ok(answer === '' || /^HTTP\/1\.1 [45]/.test(answer), answer);
  await assertUnharmed();
});

test('a connection that is reset in the middle of a WebSocket frame harms nothing', async () => {
  const { host, port } = splitAddress(server.address);
  const closedBefore = server.closed.length;
  const socket = connect(port, host);
  socket.on('error', () => {});
  socket.write(
    `GET ${LINK_PATH} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: rntlorhLTMPMIwHfaiIrPQ==\r\n\r\n`,
  );
  await new Promise((resolve) => socket.once('data', resolve));
  socket.write(Buffer.from([0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5, 6, 7]), () => socket.resetAndDestroy());
  await eventually('the listener notices', () => server.closed.length > closedBefore);
  await assertUnharmed();
});

test('strangers cannot take more places than there are for greeting: the oldest makes room', async () => {
  const tooMany = 20;
  const closed: Closed[] = [];
  const open: WebSocket[] = [];
  const dialOne = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${server.address}${LINK_PATH}`);
      open.push(socket);
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error('expected the WebSocket to open'));
      socket.onclose = ({ code, reason }) => closed.push({ code, reason });
    });
  await Promise.all(Array.from({ length: LINK_GREETING_MAX + tooMany }, dialOne));
  await eventually('the oldest are closed', () => closed.length >= tooMany);
  assert.ok(closed.every(({ code }) => code === 4000 + ERROR_KINDS.LINK_HELLO_TIMEOUT.wire));
  const peer = dial(server.address, { identity: identity({ incarnation: '00000000000000d2' }) });
  assert.ok((await opened(peer)).open, 'a peer finds a place among them');
  server.opened = 1;
  await assertUnharmed();
  for (const socket of open) socket.close();
});
