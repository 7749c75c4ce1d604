/** What a greeted peer cannot do to a link: make it remember, answer or read more than its share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_KINDS } from '../../../../shared/errors.ts';
import { FRAME_TYPE } from '../../../../shared/link/frame.ts';
import { unsentBytesMaxOf } from '../../../../shared/link/link-settings.ts';
import { frameOf } from '../../../support/frames.ts';
import { handPlayedDialer, TEST_SETTINGS, writeText } from '../../../support/link-pair.ts';

const { REPLY, PING, PONG, WINDOW } = FRAME_TYPE;

test('K4: a peer that grants more than it was sent is cut off, so that no grant adds up past its window', () => {
  const { link, wire, say } = handPlayedDialer({}, 1024);
  writeText(link, REPLY, 1, 'x'.repeat(84));
  say(frameOf({ type: WINDOW, amount: 100 }));
  assert.ok(link.open);
  say(frameOf({ type: WINDOW, amount: 2 ** 32 - 1 }));
  assert.equal(wire.closedWith?.code, 4000 + ERROR_KINDS.LINK_WINDOW_OVERRUN.wire);
});

test('K4: a peer that does not read is cut off, whatever was written to it', () => {
  const { link, wire, say } = handPlayedDialer();
  wire.bufferedBytes = unsentBytesMaxOf(TEST_SETTINGS);
  say(frameOf({ type: PING }));
  assert.ok(link.open);
  wire.bufferedBytes++;
  say(frameOf({ type: PING }));
  assert.equal(wire.closedWith?.code, 4000 + ERROR_KINDS.LINK_BACKPRESSURE.wire);
});

test('K6: the newest of the PINGs of one turn is answered, once', () => {
  const { wire, say } = handPlayedDialer();
  say(...[1, 2, 3].map((amount) => frameOf({ type: PING, amount })));
  say(frameOf({ type: PING, amount: 4 }));
  assert.deepEqual(
    wire.framesOf(PONG).map(({ amount }) => amount),
    [3, 4],
  );
});

test('K7: a peer that sends more in one turn than any window allows is cut off, and what comes turn by turn is not', () => {
  const { link, wire, clock, say } = handPlayedDialer();
  const pings = Buffer.concat(Array(65_536).fill(frameOf({ type: PING })));
  for (let turn = 0; turn < 40; turn++) say(pings);
  assert.ok(link.open);
  for (let bytes = 0; bytes <= unsentBytesMaxOf(TEST_SETTINGS); bytes += pings.length) link.receive(pings);
  clock.settle();
  assert.equal(wire.closedWith?.code, 4000 + ERROR_KINDS.LINK_WINDOW_OVERRUN.wire);
});
