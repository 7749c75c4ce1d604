/**
 * A journal in a process of its own, to be killed: `node journal-child.ts FOLDER FLUSH_EVERY_MS REPORT`. Its owner keeps the last
 * sequence of each of SLOTS slots, checks at the start that what it is told adds up, then appends and makes snapshots for
 * as long as it lives.
 *
 * Writes lines to the file REPORT, which a kill does not take back: `told LAST SNAPSHOT_RECORDS CUT_BYTES` once, then `a LAST MS` for what it has appended by then, and `d LAST` for
 * what is durable.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import process from 'node:process';
import { Journal } from '../../coordinator-server/journal/journal.ts';
import { systemClock } from '../../shared/clock.ts';
import { silentLogger } from '../../shared/log.ts';

const SLOTS = 997;
const APPENDS_A_TURN = 20;
const SNAPSHOT_STEP = 10;

const [folder = '', flushEveryMs = '10', reportFile = ''] = process.argv.slice(2);
const report = fs.openSync(reportFile, 'w');
const slots = new Map<number, number>();
const say = (line: string): void => void fs.writeSync(report, `${line}\n`);
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function textOf(sequence: number): string {
  return `${sequence} ${'x'.repeat(sequence % 300)}`;
}

let expected = 0;
const journal = await Journal.open({
  folder,
  clock: systemClock,
  log: silentLogger,
  segmentBytesMax: 1024 * 1024,
  flushEveryMs: Number(flushEveryMs),
  onRecord(payload, sequence) {
    const text = payload.toString();
    const of = Number(text.split(' ', 1)[0]);
    if (sequence !== 0) {
      assert.equal(text, textOf(sequence));
      if (expected !== 0) assert.equal(sequence, expected);
      expected = sequence + 1;
    }
    slots.set(of % SLOTS, of);
  },
});
const last = journal.lastSequence;
for (let sequence = Math.max(1, last - SLOTS + 1); sequence <= last; sequence++) {
  assert.equal(slots.get(sequence % SLOTS), sequence);
}
assert.equal(slots.size, Math.min(last, SLOTS));
say(`told ${last} ${journal.recovery.snapshotRecords} ${journal.recovery.cutBytes}`);

journal.onDurable = (sequence) => say(`d ${sequence}`);

async function keepSnapshotting(): Promise<void> {
  for (;;) {
    const writer = journal.beginSnapshot();
    let step = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      const sequence = slots.get(slot);
      if (sequence !== undefined) await writer.append(Buffer.from(`${sequence} `));
      step += 1;
      if (step % SNAPSHOT_STEP === 0) await turn();
    }
    await writer.commit();
  }
}

const snapshots = keepSnapshotting();
snapshots.catch((error: unknown) => {
  say(`failed ${String(error)}`);
  process.exit(1);
});
for (;;) {
  for (let count = 0; count < APPENDS_A_TURN; count++) {
    const sequence = journal.lastSequence + 1;
    // Long stretches of either kind: a group record takes the async ones before it along.
    const durability = Math.floor(sequence / 500) % 2 === 0 ? 'group' : 'async';
    slots.set(sequence % SLOTS, sequence);
    journal.append(Buffer.from(textOf(sequence)), durability);
  }
  say(`a ${journal.lastSequence} ${systemClock.nowMs()}`);
  await turn();
}
