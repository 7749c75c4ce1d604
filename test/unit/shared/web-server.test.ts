import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { createWebApp, listenExclusive, splitAddress } from '../../../shared/web-server.ts';

const app = createWebApp();
app.any('/*', (response, request) => {
  let headerBytes = 0;
  request.forEach((name, value) => {
    headerBytes += name.length + value.length;
  });
  response.end(`${request.getUrl().length} ${headerBytes}`);
});
const { address, close } = await listenExclusive(app, '127.0.0.1:0');
after(() => {
  close();
  close(); // a second time is harmless
  app.close();
});

/** @returns all that came back before the server ended the connection or had answered */
function overTcp(head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const { host, port } = splitAddress(address);
    const socket = connect(port, host, () => socket.write(head));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.on('data', (bytes) => {
      answer += bytes.toString();
      if (answer.includes('\r\n\r\n')) socket.end();
    });
  });
}

test('host and port are told apart, also of an IPv6 address', () => {
  assert.deepEqual(splitAddress('localhost:80'), { host: 'localhost', port: 80 });
  assert.deepEqual(splitAddress('[::1]:8080'), { host: '::1', port: 8080 });
});

test('port 0 gives a port of the system’s choice, and it is told', () => {
  assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/);
});

test('a port is listened on by one app only', async () => {
  const second = createWebApp();
  await assert.rejects(listenExclusive(second, address), { code: 'PORT_TAKEN' });
  second.close();
});

test('a head as large as any config allows gets in, for admission to judge', async () => {
  const path = `/${'a'.repeat(16 * 1024 - 1)}`;
  const value = 'x'.repeat(64 * 1024 - 5);
  const answer = await overTcp(`GET ${path} HTTP/1.1\r\nhost: x\r\n${'h'.repeat(4)}: ${value}\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 OK/);
  assert.match(answer, new RegExp(`${path.length} ${4 + 1 + 4 + value.length}`));
});

test('a head past that is refused before anything sees it', async () => {
  assert.match(await overTcp(`GET / HTTP/1.1\r\nhost: x\r\nh: ${'x'.repeat(100 * 1024)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
});
