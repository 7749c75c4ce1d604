/** What a dialer may find at an address instead of its peer: it says why there is no link, tries again, and lives. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import type { ErrorCode } from '../../../shared/errors.ts';
import { FRAME_TYPE } from '../../../shared/link/frame.ts';
import { type Hello, helloOf, proofOf } from '../../../shared/link/greeting.ts';
import { LINK_PATH } from '../../../shared/link/link-transport.ts';
import { createWebApp, listenExclusive } from '../../../shared/web-server.ts';
import { eventually } from '../../support/eventually.ts';
import { fastClock } from '../../support/fast-clock.ts';
import { frameOf, framesIn } from '../../support/frames.ts';
import { APP, identity } from '../../support/link-pair.ts';
import { closedLater, dial, listen, opened } from './real-links.ts';

/** A WebSocket server that answers the first message of a dialer with what a test wants. @returns its address */
async function answering(answer: (dialer: Hello) => Uint8Array | string | 'nothing'): Promise<string> {
  const app = closedLater(createWebApp());
  app.ws(LINK_PATH, {
    message: (webSocket, message) => {
      const first = framesIn(Buffer.from(message))[0];
      if (first?.type !== FRAME_TYPE.HELLO) return;
      const said = answer(JSON.parse(first.payload.toString()) as Hello);
      if (said !== 'nothing') webSocket.send(said, typeof said !== 'string');
    },
  });
  return (await listenExclusive(app, '127.0.0.1:0')).address;
}

function hello(fields: Partial<Hello> = {}, code = 1): Buffer {
  const payload = JSON.stringify({ ...helloOf(APP, 'e'.repeat(32), 1024 * 1024), ...fields });
  return frameOf({ type: FRAME_TYPE.HELLO, code, payload });
}

const IMPOSTORS: Record<string, readonly [answer: (dialer: Hello) => Uint8Array | string, code: ErrorCode]> = {
  garbage: [() => Buffer.alloc(50, 0xff), 'LINK_FRAME_INVALID'],
  text: [() => 'hello', 'LINK_FRAME_INVALID'],
  'an empty message': [() => Buffer.alloc(0), 'LINK_FRAME_INVALID'],
  'half a HELLO': [() => hello().subarray(0, 40), 'LINK_FRAME_TRUNCATED'],
  'another version': [() => hello({}, 7), 'LINK_VERSION_MISMATCH'],
  'another cluster': [() => hello({ cluster: 'other' }), 'LINK_CLUSTER_MISMATCH'],
  'another cluster with a name that makes a long reason': [
    () => hello({ cluster: '😀'.repeat(32) }),
    'LINK_CLUSTER_MISMATCH',
  ],
  'no proof': [() => hello(), 'LINK_TOKEN_REFUSED'],
  'a proof by another token': [
    (dialer) => hello({ proof: proofOf('other', 'listener', dialer, helloOf(APP, 'e'.repeat(32), 1024)) }),
    'LINK_TOKEN_REFUSED',
  ],
  'the dialer’s own HELLO, reflected': [(dialer) => hello({ ...dialer }), 'LINK_TOKEN_REFUSED'],
  'a request instead of a HELLO': [() => frameOf({ type: FRAME_TYPE.REQUEST }), 'LINK_HELLO_EXPECTED'],
};
for (const [what, [answer, code]] of Object.entries(IMPOSTORS)) {
  test(`${what} is refused with ${code}, and the dialer tries again`, async () => {
    const { dialer, links, closed } = dial(await answering(answer));
    await eventually('two tries', () => closed.length >= 2);
    assert.deepEqual([links.length, closed[0]], [0, code]);
    assert.match(dialer.lastRefusal, new RegExp(`^${code}: `));
    dialer.close();
  });
}

test('a server of another id than the config has at this address is refused', async () => {
  const server = await listen();
  closedLater(server.listener);
  const { dialer, closed } = dial(server.address, { expectServerId: 'a2' });
  await eventually('a try', () => closed.length > 0);
  assert.match(dialer.lastRefusal, /^LINK_ROLE_REFUSED: expected app a2 .* got app a1/);
  dialer.close();
});

test('a server that does not take this role says so to the dialer', async () => {
  const server = await listen();
  closedLater(server.listener);
  const { dialer, closed } = dial(server.address, { identity: identity({ role: 'tool' }) });
  await eventually('a try', () => closed.length > 0);
  assert.match(dialer.lastRefusal, /^LINK_ROLE_REFUSED: /);
  dialer.close();
});

/** A TCP server of which every connection is handled by a test. */
async function overTcp(onConnection: (socket: Socket) => void): Promise<{ address: string; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.resume(); // else its end is never noticed
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closedLater({
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { address: `127.0.0.1:${address.port}`, sockets };
}

const CONNECTIONS: Record<string, (socket: Socket) => void> = {
  'a port that closes at once': (socket) => socket.destroy(),
  'a port that resets at once': (socket) => socket.resetAndDestroy(),
  'a port that speaks something else': (socket) => socket.end('SSH-2.0-other\r\n'),
  'a web server': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'),
  'an upgrade without its proof': (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'),
};
for (const [what, onConnection] of Object.entries(CONNECTIONS)) {
  test(`${what} is tried again, and is no link`, async () => {
    let tries = 0;
    const { address } = await overTcp((socket) => {
      tries++;
      onConnection(socket);
    });
    const { dialer, links } = dial(address);
    await eventually('several tries', () => tries >= 3);
    assert.equal(links.length, 0);
    assert.match(dialer.lastRefusal, /^LINK_CLOSED: /);
    dialer.close();
  });
}

test('a port that takes connections and says nothing is given up on in time, each connection closed', async () => {
  let tries = 0;
  const { address, sockets } = await overTcp(() => void tries++);
  const { dialer } = dial(address, { clock: fastClock(20) });
  await eventually('several tries', () => tries >= 3);
  assert.match(dialer.lastRefusal, /^LINK_HELLO_TIMEOUT: /);
  assert.ok(sockets.size <= 2, `${sockets.size} connections at once`);
  dialer.close();
  await eventually('no connection is left', () => sockets.size === 0);
});

test('a peer that takes the HELLO and says nothing is given up on in time', async () => {
  const { closed, dialer } = dial(await answering(() => 'nothing'), { clock: fastClock(20) });
  await eventually('a try', () => closed.length > 0);
  assert.match(dialer.lastRefusal, /^LINK_HELLO_TIMEOUT: /);
  dialer.close();
});

test('a dialer that found a stranger finds its peer when that comes', async () => {
  const { address } = await overTcp((socket) => socket.destroy());
  const lonely = dial(address);
  await eventually('a try', () => lonely.dialer.lastRefusal !== '');
  lonely.dialer.close();
  const server = await listen();
  closedLater(server.listener);
  assert.ok((await opened(dial(server.address))).open);
});
