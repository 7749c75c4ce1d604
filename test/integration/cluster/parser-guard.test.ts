/** Raw bytes at the edge: requests whose end two parsers could see in different places never become two. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startTestCluster, type TestCluster } from '../../support/test-cluster.ts';

let running: TestCluster;

before(async () => {
  running = await startTestCluster();
});

after(async () => {
  await running.close();
});

/** What a request smuggled behind the first one would leave: an account that exists. */
const SMUGGLED =
  'PUT /accounts/smuggled HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';

/** How long a server may sit on a request that it neither answers nor closes. */
const QUIET_MS = 300;

/** @returns all that comes until the server closes or falls quiet */
function sendRaw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(running.urls[0] as string);
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
    const done = (): void => {
      socket.destroy();
      resolve(received);
    };
    socket.setTimeout(QUIET_MS, done);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.on('close', done);
    socket.on('error', done);
  });
}

async function wasSmuggled(): Promise<boolean> {
  const response = await fetch(`${running.urls[0]}/accounts/smuggled`);
  await response.text();
  return response.status === 200;
}

const POST = 'POST /echo?account=a HTTP/1.1\r\nhost: x\r\n';
const length = SMUGGLED.length;

const AMBIGUOUS: Readonly<Record<string, string>> = {
  'two Content-Length headers': `${POST}content-length: 0\r\ncontent-length: ${length}\r\n\r\n${SMUGGLED}`,
  'two equal Content-Length headers': `${POST}content-length: 0\r\ncontent-length: 0\r\n\r\n${SMUGGLED}`,
  'a list in Content-Length': `${POST}content-length: 0, ${length}\r\n\r\n${SMUGGLED}`,
  'a signed Content-Length': `${POST}content-length: +0\r\n\r\n${SMUGGLED}`,
  'a hexadecimal Content-Length': `${POST}content-length: 0x0\r\n\r\n${SMUGGLED}`,
  'a negative Content-Length': `${POST}content-length: -1\r\n\r\n${SMUGGLED}`,
  'Content-Length beside Transfer-Encoding': `${POST}content-length: ${length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'Transfer-Encoding beside Content-Length': `${POST}transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n${SMUGGLED}`,
  'two Transfer-Encoding headers': `${POST}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'Transfer-Encoding: identity': `${POST}transfer-encoding: identity\r\n\r\n${SMUGGLED}`,
  'Transfer-Encoding: xchunked': `${POST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'Transfer-Encoding: gzip, chunked': `${POST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'Transfer-Encoding with a space in its name': `${POST}transfer-encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'an empty header name': `${POST}: x\r\ncontent-length: 0\r\n\r\n${SMUGGLED}`,
  'a method that is not a word': `G=T /echo?account=a HTTP/1.1\r\nhost: x\r\n\r\n${SMUGGLED}`,
};

describe('an ambiguous request is cut off and nothing behind it runs', () => {
  for (const [what, bytes] of Object.entries(AMBIGUOUS)) {
    test(what, async () => {
      const received = await sendRaw(bytes);
      assert.equal(await wasSmuggled(), false);
      assert.ok(!/^HTTP\/1\.1 2/.test(received), received.split('\r\n')[0]);
    });
  }
});

test('the same bytes in two plain requests do both run, so the check above can fail', async () => {
  await sendRaw(`${POST}content-length: 0\r\n\r\n`);
  await sendRaw(SMUGGLED);
  assert.equal(await wasSmuggled(), true);
});
