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

/** Two linked servers that do what the steps say. */
class Play {
  readonly asked: Asked[] = [];
  readonly #served: { streamId: number; text: string }[] = [];
  readonly pair = openPair({
    listenerHandlers: {
      onRequest: (link, streamId, message, start, end) => {
        this.#served.push({ streamId, text: message.toString('latin1', start + 16, end) });
        link.releaseReceived(end - start);
      },
    },
  });

  take(step: Step): void {
    switch (step.kind) {
      case 'settle':
        this.pair.settle();
        return;
      case 'drain':
        return this.pair.listener.announceDrain();
      case 'send':
        return this.#send();
      case 'cancel':
        return this.#cancel(this.asked[step.which]);
      case 'reply':
        return this.#answer(FRAME_TYPE.REPLY, step.which);
      case 'error':
        return this.#answer(FRAME_TYPE.ERROR, step.which);
    }
  }

  #send(): void {
    if (!this.pair.dialer.writable) return;
    const owner = new RecordingOwner();
    const streamId = sendText(this.pair.dialer, owner, `request ${this.asked.length}`);
    this.asked.push({ owner, streamId, cancelled: false, heardWhenCancelled: 0 });
  }

  #cancel(one: Asked | undefined): void {
    if (one === undefined || one.cancelled) return;
    one.cancelled = true;
    one.heardWhenCancelled = one.owner.heard.length;
    this.pair.dialer.cancelStream(one.streamId);
  }

  /** Also a second time: a peer may. */
  #answer(type: number, which: number): void {
    const one = this.#served[which];
    if (one !== undefined) writeText(this.pair.listener, type, one.streamId, one.text);
  }
}

test('every owner hears exactly one of reply, error and loss, its own, and none after its cancel', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const play = new Play();
      for (const one of steps) play.take(one);
      play.pair.settle();
      play.pair.breakWire();
      for (const [index, { owner, cancelled, heardWhenCancelled }] of play.asked.entries()) {
        assert.equal(owner.heard.length, cancelled ? heardWhenCancelled : 1);
        for (const { kind, text } of owner.heard)
          assert.equal(text, kind === 'lost' ? 'LINK_CLOSED' : `request ${index}`);
      }
      assert.equal(play.pair.dialer.inFlight, 0);
    }),
    fewerRuns(4),
  );
});
