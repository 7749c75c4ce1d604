import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { service } from '../../../../app-server/services/echo/service.ts';
import { HandlerBench } from '../../../support/handler-bench.ts';

describe('echo', () => {
  const bench = new HandlerBench([service]);

  for (const method of ['GET', 'POST', 'DELETE', 'PURGE']) {
    it(`tells who asked, without a body, by ${method}`, async () => {
      const { reply } = await bench.ask(method, '/echo?x=1', { account: 'al"ice' });
      assert.deepEqual(reply === undefined ? undefined : { ...reply }, {
        status: 200,
        headers: 'content-type: application/json\r\n',
        body: `{"account":"al\\"ice","method":"${method}"}`,
      });
    });
  }

  it('sends a body back with its content type', async () => {
    const body = Uint8Array.of(0, 255, 10);
    const { reply } = await bench.ask('POST', '/echo', { body, headerBlock: 'content-type:image/png; x=y\n' });
    assert.equal(reply?.headers, 'content-type: image/png; x=y\r\n');
    assert.deepEqual([...Buffer.from(reply.body)], [...body]);
  });

  it('calls a body without a content type bytes', async () => {
    const { reply } = await bench.ask('PUT', '/echo', { body: 'x' });
    assert.equal(reply?.headers, 'content-type: application/octet-stream\r\n');
  });
});
