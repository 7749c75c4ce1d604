import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LINK_WINDOW_BYTES } from '../../../../shared/constants.ts';
import { ReceiveWindow } from '../../../../shared/link/receive-window.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

const FRAME_BYTES = 1024 * 1024;

test('a sender that keeps to its window is never cut off, never stuck, and never granted more than was taken up', () => {
  const frames = fc.array(fc.tuple(fc.integer({ min: 16, max: FRAME_BYTES }), fc.nat(3)), {
    maxLength: 80,
    size: 'max',
  });
  fc.assert(
    fc.property(frames, (sent) => {
      const window = new ReceiveWindow(FRAME_BYTES);
      let sendable = LINK_WINDOW_BYTES;
      let [released, granted] = [0, 0];
      const waiting: number[] = [];
      const takeUp = (): void => {
        const frameBytes = waiting.shift();
        if (frameBytes === undefined) return;
        released += frameBytes;
        const grant = window.released(frameBytes);
        granted += grant;
        sendable += grant;
        assert.ok(granted <= released);
      };
      for (const [frameBytes, takenUp] of sent) {
        while (sendable <= 0) {
          assert.ok(waiting.length > 0, 'everything is taken up, and the sender still may not send');
          takeUp();
        }
        sendable -= frameBytes;
        assert.ok(window.received(frameBytes));
        waiting.push(frameBytes);
        for (let count = 0; count < takenUp; count++) takeUp();
        assert.equal(
          window.unreleasedBytes,
          waiting.reduce((sum, each) => sum + each, 0),
        );
      }
    }),
    fewerRuns(4),
  );
});

test('a sender may pass the end of its window with one frame, and no further', () => {
  const window = new ReceiveWindow(FRAME_BYTES);
  assert.ok(window.received(LINK_WINDOW_BYTES + FRAME_BYTES));
  assert.equal(window.received(1), false);
});
