/** Following the journal: durable records only, in order, none left out, or the word that they were dropped. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Followed, JournalFollower } from '../../../../coordinator-server/journal/journal-follower.ts';
import { FOLLOWERS_MAX } from '../../../../coordinator-server/journal/journal-limits.ts';
import { JournalSubject, manyTurns } from '../../../support/journal-subject.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

const textsOf = (followed: Followed): string[] => (followed.kind === 'records' ? followed.payloads.map(String) : []);

async function untilTexts(follower: JournalFollower, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push(...textsOf(await follower.next()));
  return texts;
}

describe('a follower', () => {
  test('is told every record from its sequence on, over the ends of segments, and then as they come', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk(), { segmentBytesMax: 200 });
    for (let n = 0; n < 30; n++) await subject.write('x'.repeat(n));
    const follower = subject.journal.readFrom(8);
    const texts = await untilTexts(follower, 23);
    const next = untilTexts(follower, 2);
    await subject.write('one more', 'and one');
    texts.push(...(await next));
    assert.deepEqual(
      texts,
      [...subject.held].slice(7).map(([sequence, text]) => `${sequence} ${text}`),
    );
    assert.equal(follower.nextSequence, 33);
    await follower.close();
  });

  test('keeps what it was told: later reads do not change it', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk());
    const follower = subject.journal.readFrom(1);
    await subject.write('aaaa');
    const first = await follower.next();
    await subject.write('bbbb');
    await follower.next();
    assert.deepEqual(textsOf(first), ['1 aaaa']);
  });

  test('is told nothing before it is durable, and nothing that was taken back', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    await subject.write('one');
    const follower = subject.journal.readFrom(1);
    const told = await untilTexts(follower, 1);
    let isTold = false;
    const next = follower.next().then((followed) => {
      isTold = true;
      return textsOf(followed);
    });
    disk.capacityBytes = 0;
    await subject.write('taken back');
    await manyTurns();
    assert.equal(isTold, false);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    subject.clock.advance(500);
    await manyTurns();
    await subject.write('two');
    assert.deepEqual([...told, ...(await next)], ['1 one', '2 two']);
  });

  test('that is behind what is kept is told so, and where to go on', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk(), { segmentBytesMax: 100 });
    const follower = subject.journal.readFrom(1);
    for (let n = 0; n < 10; n++) await subject.write('record');
    await subject.snapshot();
    await subject.write('record');
    await subject.snapshot();
    assert.deepEqual(await follower.next(), { kind: 'dropped', firstKept: 11 });
  });

  test('ends with the journal, also while it waits', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk());
    const follower = subject.journal.readFrom(1);
    const next = follower.next();
    await subject.journal.close();
    assert.deepEqual(await next, { kind: 'closed' });
  });

  test('is one of few', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk());
    const followers = Array.from({ length: FOLLOWERS_MAX }, () => subject.journal.readFrom(1));
    assert.throws(() => subject.journal.readFrom(1), { code: 'STORE_UNAVAILABLE' });
    await followers[0]?.close();
    subject.journal.readFrom(1);
  });

  test('names the place of damage', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    await subject.write('one', 'two');
    const [segment = Buffer.alloc(0)] = disk.files.values();
    segment[segment.length - 1] = 0;
    await assert.rejects(subject.journal.readFrom(1).next(), {
      code: 'JOURNAL_CORRUPT',
      message: /record 2, byte 109/,
    });
  });
});
