/** K2 and K3 against a model: whatever happens in whatever order, every owner hears what it is due, once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME_TYPE } from '../../../../shared/link/frame.ts';
import { openPair, RecordingOwner, sendText, writeText } from '../../../support/link-pair.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

type Step =
  | { readonly kind: 'send' | 'settle' | 'drain' }
  /** `which` picks among what there is: requests sent, or requests the server half has. */
  | { readonly kind: 'reply' | 'error' | 'cancel'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'send' } as const) },
  { weight: 3, arbitrary: fc.constant({ kind: 'settle' } as const) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('reply', 'error', 'cancel'), which: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'drain' } as const) },
);

interface Asked {
  readonly owner: RecordingOwner;
  readonly streamId: number;
  cancelled: boolean;
  heardWhenCancelled: number;
}

test('every owner hears exactly one of reply, error and loss, its own, and none after its cancel', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const served: { streamId: number; text: string }[] = [];
      const pair = openPair({
        listenerHandlers: {
          onRequest(link, streamId, message, start, end) {
            served.push({ streamId, text: message.toString('latin1', start + 16, end) });
            link.releaseReceived(end - start);
          },
        },
      });
      const asked: Asked[] = [];
      for (const { kind, ...rest } of steps) {
        const which = 'which' in rest ? rest.which : 0;
        if (kind === 'settle') pair.settle();
        else if (kind === 'drain') pair.listener.announceDrain();
        else if (kind === 'send') {
          if (!pair.dialer.writable) continue;
          const owner = new RecordingOwner();
          const streamId = sendText(pair.dialer, owner, `request ${asked.length}`);
          asked.push({ owner, streamId, cancelled: false, heardWhenCancelled: 0 });
        } else if (kind === 'cancel') {
          const one = asked[which];
          if (one === undefined || one.cancelled) continue;
          one.cancelled = true;
          one.heardWhenCancelled = one.owner.heard.length;
          pair.dialer.cancelStream(one.streamId);
        } else {
          const one = served[which]; // answered again, too: a peer may
          if (one !== undefined)
            writeText(pair.listener, kind === 'reply' ? FRAME_TYPE.REPLY : FRAME_TYPE.ERROR, one.streamId, one.text);
        }
      }
      pair.settle();
      pair.breakWire();
      for (const [index, { owner, cancelled, heardWhenCancelled }] of asked.entries()) {
        if (cancelled) assert.equal(owner.heard.length, heardWhenCancelled, 'heard something after its cancel');
        else assert.equal(owner.heard.length, 1);
        for (const { kind, text } of owner.heard)
          assert.equal(text, kind === 'lost' ? 'LINK_CLOSED' : `request ${index}`);
      }
      assert.equal(pair.dialer.inFlight, 0);
    }),
    fewerRuns(4),
  );
});
