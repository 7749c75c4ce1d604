import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually } from '../../../support/eventually.ts';
import { OneWayProxy } from '../../../support/history/one-way-proxy.ts';

let server: Server;
let heard = '';
let inside: Socket | undefined;
let proxy: OneWayProxy;

before(async () => {
  server = createServer((socket) => {
    inside = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      heard += String(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  proxy = await OneWayProxy.listen(`127.0.0.1:${address.port}`);
});

after(() => {
  proxy.close();
  inside?.destroy();
  server.close();
});

test('a direction that is cut carries nothing, the other one does; healed, what waited arrives; reset, it is lost', async () => {
  const client = connect(Number(proxy.address.split(':')[1]), '127.0.0.1');
  let answered = '';
  client.on('data', (bytes) => {
    answered += String(bytes);
  });
  client.write('a');
  await eventually('the first byte', () => heard === 'a' && inside !== undefined);
  proxy.cut('to-server');
  client.write('b');
  inside?.write('x');
  await eventually('the way back', () => answered === 'x');
  assert.equal(heard, 'a');
  proxy.heal();
  await eventually('what waited', () => heard === 'ab');
  proxy.cut('to-client');
  inside?.write('y');
  client.write('c');
  await eventually('the way there', () => heard === 'abc');
  assert.equal(answered, 'x');
  proxy.heal();
  await eventually('what waited on the way back', () => answered === 'xy');
  proxy.cut('to-client');
  inside?.write('z');
  const broken = once(client, 'close');
  proxy.reset();
  await broken;
  assert.equal(answered, 'xy');
});
