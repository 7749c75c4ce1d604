import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINK_WINDOW_BYTES, REPLIES_HELD_BYTES_MAX } from '../../../../shared/constants.ts';
import { SendWindow } from '../../../../shared/link/send-window.ts';

function begun(windowBytes = 1_024): SendWindow {
  const window = new SendWindow();
  window.begin(windowBytes);
  return window;
}

test('one frame may pass the window’s end, and none is begun behind it until it is paid back', () => {
  const window = begun();
  window.spend(1_000);
  assert.ok(window.open);
  window.spend(1_000);
  assert.equal(window.open, false);
  assert.ok(window.grant(976));
  assert.equal(window.open, false);
  assert.ok(window.grant(1));
  assert.ok(window.open);
});

test('nothing may be sent before the peer has greeted', () => {
  assert.equal(new SendWindow().open, false);
});

test('S1: what was sent may be granted again, and not a byte more, however the grants add up', () => {
  const window = begun();
  window.spend(3_000);
  for (let granted = 0; granted < 3_000; granted += 100) assert.ok(window.grant(100));
  assert.equal(window.grant(1), false);
  assert.equal(begun().grant(2 ** 32 - 1), false);
});

test('S2: of a larger window than our own, as much is used as ours has', () => {
  const window = begun(LINK_WINDOW_BYTES * 4);
  window.spend(LINK_WINDOW_BYTES);
  assert.equal(window.open, false);
  assert.ok(window.grant(LINK_WINDOW_BYTES));
});

test('S3: answers that waited go in their order, as far as the window goes', () => {
  const window = begun();
  window.spend(1_024);
  const frames = [600, 600, 600].map((bytes) => Buffer.alloc(bytes));
  for (const frame of frames) assert.ok(window.hold(frame));
  assert.equal(window.nextHeld(), undefined);
  assert.ok(window.grant(1_024));
  assert.deepEqual([window.nextHeld(), window.nextHeld(), window.nextHeld()], [frames[0], frames[1], undefined]);
  assert.equal(window.heldBytes, 600);
  window.drop();
  assert.equal(window.heldBytes, 0);
});

test('S3: past the bound no answer is kept any more', () => {
  const window = begun();
  const half = Buffer.alloc(REPLIES_HELD_BYTES_MAX / 2);
  assert.deepEqual([window.hold(half), window.hold(half), window.hold(Buffer.alloc(16))], [true, true, false]);
});

test('S3: half a million answers that waited leave in a moment, not in the square of one', () => {
  const window = begun(LINK_WINDOW_BYTES);
  const frame = Buffer.alloc(128);
  const count = REPLIES_HELD_BYTES_MAX / frame.length;
  for (let held = 0; held < count; held++) assert.ok(window.hold(frame));
  window.spend(LINK_WINDOW_BYTES);
  const startedAtMs = performance.now();
  for (let round = 0; round < REPLIES_HELD_BYTES_MAX / LINK_WINDOW_BYTES; round++) {
    assert.ok(window.grant(LINK_WINDOW_BYTES));
    while (window.nextHeld() !== undefined);
  }
  assert.equal(window.heldBytes, 0);
  // It takes some 20 ms; what moves every answer that waits behind the one that leaves takes a minute.
  assert.ok(performance.now() - startedAtMs < 5_000);
});
