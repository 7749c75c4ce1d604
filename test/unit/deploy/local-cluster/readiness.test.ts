import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { isReady, reachableAddress, untilReady } from '../../../../deploy/local-cluster/readiness.ts';

async function serverAnswering(statusOf: () => number, body = ''): Promise<{ server: Server; address: string }> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/-/ready' ? statusOf() : 404;
    response.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('an address that stands for all is reached on loopback', () => {
  assert.equal(reachableAddress('0.0.0.0:80'), '127.0.0.1:80');
  assert.equal(reachableAddress('[::]:80'), '[::1]:80');
  assert.equal(reachableAddress('10.0.0.7:80'), '10.0.0.7:80');
});

test('ready means 200; 503 and nobody there mean not ready', async () => {
  let status = 200;
  const { server, address } = await serverAnswering(() => status);
  assert.equal(await isReady(address), true);
  status = 503;
  assert.equal(await isReady(address), false);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await isReady(address), false);
});

test('a server that an operator has taken out is as it should be', async () => {
  for (const [body, expected] of [
    ['{"status":"drain","server":"i1"}', true],
    ['{"status":"maint","server":"i1"}', true],
    ['{"status":"not ready","reasons":["drain"]}', false],
  ] as const) {
    const { server, address } = await serverAnswering(() => 503, body);
    assert.equal(await isReady(address), expected);
    server.close();
  }
});

test('waiting ends when all are ready, when time is up, and when it is no longer worth it', async () => {
  let asked = 0;
  const { server, address } = await serverAnswering(() => {
    asked += 1;
    return asked < 3 ? 503 : 200;
  });
  assert.equal(await untilReady([address], 5_000), true);
  assert.equal(asked, 3);
  assert.equal(await untilReady([address], 0), false);
  assert.equal(await untilReady([address], 5_000, () => false), false);
  server.close();
});
