import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINGER_MS, UNREAD_BYTES_MAX, UnreadReplies } from '../../../interface-server/unread-replies.ts';
import { systemRandom } from '../../../shared/random.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeResponse } from '../../support/fake-web.ts';

const LARGE = Buffer.alloc(100_000, 'abcdefghij');

class Bench {
  readonly clock = new FakeClock();
  cuts = 0;
  /** What chance says; 1 asks about no small answer. */
  float = 1;
  readonly unread = new UnreadReplies(
    { clock: this.clock, random: { ...systemRandom, float: () => this.float }, onCut: () => this.cuts++ },
    10_000,
  );

  /** @param takesBytes of the body at once */
  answer(body: Uint8Array, takesBytes?: number): FakeResponse {
    const response = new FakeResponse();
    if (takesBytes !== undefined) response.takesBytes = takesBytes;
    this.unread.end(response.web, body);
    return response;
  }

  pass(forMs: number): void {
    for (let doneMs = 0; doneMs < forMs; doneMs += 25) this.clock.advance(25);
  }

  assertAtRest(): void {
    assert.deepEqual([this.unread.held, this.unread.bytes], [0, 0]);
  }
}

test('an answer that leaves at once is held nowhere', () => {
  const bench = new Bench();
  for (const body of [Buffer.from('small'), LARGE, Buffer.alloc(0)])
    assert.deepEqual(bench.answer(body).body, Buffer.from(body));
  bench.assertAtRest();
});

test('U1: an answer that the client does not take stays pending, and leaves whole as it is read', () => {
  const bench = new Bench();
  const response = bench.answer(LARGE, 1_000);
  assert.deepEqual([response.ends, bench.unread.held, bench.unread.bytes], [0, 1, 99_000]);
  for (const bytes of [1, 0, 50_000]) response.drain(bytes);
  assert.equal(response.ends, 0);
  response.drain(LARGE.length);
  assert.deepEqual([response.ends, response.body], [1, LARGE]);
  bench.assertAtRest();
});

test('U1: of small answers some are asked about', () => {
  const bench = new Bench();
  assert.equal(bench.answer(Buffer.from('small'), 0).ends, 1, 'the server keeps it');
  bench.float = 0;
  assert.equal(bench.answer(Buffer.from('small'), 0).ends, 0, 'it stays pending');
});

test('what is held is a copy: the message it came in may be used again', () => {
  const bench = new Bench();
  const body = Buffer.from(LARGE);
  const response = bench.answer(body, 10);
  body.fill(0);
  response.drain(LARGE.length);
  assert.deepEqual(response.body?.subarray(10), LARGE.subarray(10));
});

test('U2: past the bound the connection that has waited longest is cut off', () => {
  const bench = new Bench();
  const part = Buffer.alloc(UNREAD_BYTES_MAX / 4);
  const responses = [1, 2, 3, 4].map(() => bench.answer(part, 0));
  assert.equal(bench.cuts, 0);
  responses.push(bench.answer(Buffer.alloc(20_000), 0));
  assert.deepEqual(
    responses.map(({ cut }) => cut),
    [true, false, false, false, false],
  );
  assert.deepEqual([bench.cuts, bench.unread.bytes], [1, 3 * part.length + 20_000]);
});

test('U3: a client that reads by drops is cut off when its time is over', () => {
  const bench = new Bench();
  const response = bench.answer(LARGE, 0);
  bench.pass(16_000);
  response.drain(1);
  assert.equal(response.cut, false, 'for 100,000 bytes it has 10 s and 6.25 s more');
  bench.pass(500);
  assert.deepEqual([response.cut, bench.cuts], [true, 1]);
  bench.assertAtRest();
});

test('a client that goes away is forgotten', () => {
  const bench = new Bench();
  bench.answer(LARGE, 0).abort();
  bench.assertAtRest();
  bench.pass(20_000);
  assert.equal(bench.cuts, 0);
});

test('U4: an answer that lingers keeps its connection for a while, and then ends it', () => {
  const bench = new Bench();
  const [stays, leaves] = [new FakeResponse(), new FakeResponse()];
  bench.unread.linger(stays.web);
  bench.unread.linger(leaves.web);
  leaves.abort();
  bench.pass(LINGER_MS - 50);
  assert.equal(stays.cut, false);
  bench.pass(100);
  assert.deepEqual([stays.cut, leaves.cut, bench.cuts], [true, false, 0]);
});
