import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReplyHead } from '../../../interface-server/reply-head.ts';
import { requestIdText } from '../../../shared/ids.ts';
import '../../support/property-runs.ts';

const INCARNATION = '0123456789abcdef';
const micros = fc.oneof(fc.nat(20_000), fc.nat(2 ** 32 - 1));

test('the lines tell the id, the durations in milliseconds, and what came with the reply', () => {
  const head = new ReplyHead(INCARNATION);
  const timing = fc.record({ queueMicros: micros, dispatchMicros: micros, handlerMicros: micros, dbMicros: micros });
  const lines = fc.oneof(fc.string({ unit: 'binary-ascii', maxLength: 300 }), fc.constant('long: '.padEnd(9_000, 'x')));
  fc.assert(
    fc.property(fc.maxSafeNat(), timing, lines, (counter, times, own) => {
      const source = Buffer.from(`..${own}..`);
      const text = head.write(counter, times, source, 2, 2 + own.length).toString();
      const millis = [times.queueMicros, times.dispatchMicros, times.handlerMicros, times.dbMicros].map(
        (each) => each / 1000,
      );
      const [queue, dispatch, handler, db] = millis;
      const timingLine = `server-timing: queue;dur=${queue}, dispatch;dur=${dispatch}, handler;dur=${handler}, db;dur=${db}`;
      assert.equal(text, `${requestIdText(INCARNATION, counter)}\r\n${timingLine}\r\n${own}`);
    }),
  );
});
