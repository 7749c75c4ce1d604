/** Requests as a server's back half keeps them: counted against the sender's window once, found by link and stream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '../../../../shared/link/link.ts';
import { ReceivedRequest } from '../../../../shared/link/received-request.ts';
import { RequestsByOrigin } from '../../../../shared/link/requests-by-origin.ts';
import { requestFrame } from '../../../support/request-frame.ts';

/** What of a link a received request touches. */
class Origin {
  releasedBytes = 0;

  releaseReceived(bytes: number): void {
    this.releasedBytes += bytes;
  }
}

function received(origin: Origin, streamId = 1): ReceivedRequest {
  const frame = requestFrame({ streamId, remainingMs: 250, requestClass: 2, waitedMicros: 7 });
  return new ReceivedRequest({ origin: origin as unknown as Link, streamId, ...frame }, 1_000);
}

test('a request knows its class, its deadline by our clock, and how long it has waited', () => {
  const request = received(new Origin());
  assert.deepEqual([request.requestClass, request.deadlineAtMs, request.waitedMicros], [2, 1_250, 7]);
});

test('its bytes are released to the sender once, however often it leaves', () => {
  const origin = new Origin();
  const request = received(origin);
  request.release();
  request.release();
  assert.equal(origin.releasedBytes, request.end - request.start);
});

test('requests are found by link and stream until they are removed', () => {
  const [first, second] = [new Origin(), new Origin()];
  const requests = new RequestsByOrigin<ReceivedRequest>();
  const all = [received(first, 1), received(first, 2), received(second, 1)];
  for (const request of all) requests.add(request);
  assert.equal(requests.size, 3);
  assert.equal(requests.find(second as unknown as Link, 1), all[2]);
  assert.deepEqual(requests.of(first as unknown as Link), [all[0], all[1]]);
  requests.remove(all[0] as ReceivedRequest);
  assert.deepEqual([requests.find(first as unknown as Link, 1), requests.size], [undefined, 2]);
});

test('a stream id that a link has already is not taken again until its request is removed', () => {
  const origin = new Origin();
  const requests = new RequestsByOrigin<ReceivedRequest>();
  const [first, second] = [received(origin, 7), received(origin, 7)];
  assert.deepEqual([requests.add(first), requests.add(second)], [true, false]);
  assert.deepEqual([requests.size, requests.find(origin as unknown as Link, 7)], [1, first]);
  requests.remove(first);
  assert.ok(requests.add(second));
});

test('a request that outlives its link is still counted down', () => {
  const origin = new Origin();
  const requests = new RequestsByOrigin<ReceivedRequest>();
  const request = received(origin);
  requests.add(request);
  requests.forget(origin as unknown as Link);
  requests.remove(request);
  assert.deepEqual([requests.size, requests.of(origin as unknown as Link)], [0, []]);
});
