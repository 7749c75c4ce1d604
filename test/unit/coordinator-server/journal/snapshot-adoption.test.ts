/** Snapshots that were made elsewhere: checked whole before they count, and what they replace. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../../../shared/random.ts';
import { assertPrefix, JournalSubject } from '../../../support/journal-subject.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

async function* inPieces(bytes: Buffer, size = 7): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A coordinator with records 1..6 and a snapshot that begins at 5; `bytes` are its file. */
async function coordinator(): Promise<{ disk: SimulatedDisk; subject: JournalSubject; bytes: Buffer }> {
  const disk = new SimulatedDisk();
  const subject = await JournalSubject.open(disk, { segmentBytesMax: 100 });
  for (const text of ['a', 'b', 'c', 'd']) await subject.write(text);
  await subject.snapshot();
  for (const text of ['e', 'f']) await subject.write(text);
  const reader = await subject.journal.readSnapshot();
  const chunks: Buffer[] = [];
  for await (const chunk of reader?.chunks() ?? []) chunks.push(chunk);
  await reader?.close();
  return { disk, subject, bytes: Buffer.concat(chunks) };
}

describe('the newest snapshot', () => {
  test('is read as records, also when it has been dropped since', async () => {
    const { subject } = await coordinator();
    const reader = await subject.journal.readSnapshot();
    for (let times = 0; times < 3; times++) {
      await subject.write('more');
      await subject.snapshot();
    }
    assert.deepEqual([reader?.fromSequence, reader?.endSequence, reader?.records], [5, 4, 4]);
    const texts: string[] = [];
    for await (const payloads of reader?.payloads() ?? []) texts.push(...payloads.map(String));
    assert.deepEqual(texts, ['1 a', '2 b', '3 c', '4 d']);
    await reader?.close();
  });

  test('is none in a journal without one', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk());
    assert.equal(await subject.journal.readSnapshot(), undefined);
  });
});

describe('a snapshot from elsewhere', () => {
  test('takes the place of the journal of a new follower, which goes on with the same sequences', async () => {
    const { subject: leader, bytes } = await coordinator();
    const disk = new SimulatedDisk();
    const follower = await JournalSubject.open(disk);
    await follower.journal.adoptSnapshot(inPieces(bytes), 5);
    assert.equal(follower.journal.lastSequence, 4);
    const stream = leader.journal.readFrom(5);
    while (follower.journal.lastSequence < 6) {
      const followed = await stream.next();
      for (const payload of followed.kind === 'records' ? followed.payloads : []) {
        follower.append(payload.toString('utf8', 2), 'async');
      }
    }
    await follower.settle();
    const found = await JournalSubject.open(disk.killed());
    assertPrefix(found, leader.held, 6);
  });

  test('counts whole or not at all when the power goes at any step', async () => {
    const { bytes } = await coordinator();
    let isWhole = false;
    for (let step = 1; !isWhole; step++) {
      const disk = new SimulatedDisk();
      const follower = await JournalSubject.open(disk);
      disk.crashAtStep = disk.steps + step;
      isWhole = await follower.journal.adoptSnapshot(inPieces(bytes, 64), 5).then(
        () => true,
        () => false,
      );
      for (let seed = 0; seed < 8; seed++) {
        const found = await JournalSubject.open(disk.crashed(seededRandom(seed)));
        assert.ok([0, 4].includes(found.journal.lastSequence));
        assert.equal(found.held.size, found.journal.lastSequence);
        if (isWhole) assert.equal(found.journal.lastSequence, 4);
      }
    }
  });

  test('made of this journal lets older segments go, and records go on', async () => {
    const { disk, subject, bytes } = await coordinator();
    await subject.journal.adoptSnapshot(inPieces(bytes), 5);
    const reader = await JournalSubject.open(disk.killed());
    await reader.snapshot();
    assert.equal(reader.journal.status().newestSnapshot, 7);
    assert.equal(reader.journal.status().firstSequence, 5);
    await subject.write('g');
    assertPrefix(await JournalSubject.open(disk.killed()), subject.held, 7);
  });

  test('brings a follower that fell behind to where it begins, over an end at once', async () => {
    const { disk: leaderDisk, subject: leader } = await coordinator();
    const disk = new SimulatedDisk(new Map([...leaderDisk.files].filter(([name]) => !name.includes('snapshot'))));
    const follower = await JournalSubject.open(disk);
    for (let n = 0; n < 20; n++) await leader.write('ahead');
    await leader.snapshot();
    const reader = await leader.journal.readSnapshot();
    await follower.journal.adoptSnapshot(reader?.chunks() ?? inPieces(Buffer.alloc(0)), 27);
    assertPrefix(await JournalSubject.open(disk.killed()), leader.held, 26);
    const journals = [...disk.files.keys()].filter((name) => name.endsWith('.journal'));
    assert.deepEqual(journals, ['0000000000000027.journal']);
  });

  const REFUSED: readonly (readonly [why: string, change: (bytes: Buffer) => Buffer, from: number, says: RegExp])[] = [
    ['cut short', (bytes) => bytes.subarray(0, -1), 5, /trailer/],
    ['damaged', (bytes) => Buffer.from(bytes.map((byte, at) => (at === 80 ? byte ^ 1 : byte))), 5, /checksum/],
    ['another one than was said', (bytes) => bytes, 6, /begin at record 6/],
    ['something else', () => Buffer.from('hello'), 5, /head of 64 bytes/],
  ];
  for (const [why, change, from, says] of REFUSED) {
    test(`is refused when it is ${why}, and leaves nothing behind`, async () => {
      const { disk, subject, bytes } = await coordinator();
      const before = [...disk.files.keys()];
      const adopting = subject.journal.adoptSnapshot(inPieces(change(bytes)), from);
      await assert.rejects(adopting, { code: 'REQUEST_INVALID', message: says });
      assert.deepEqual([...disk.files.keys()], before);
    });
  }

  test('is refused when it is of another journal, or older than the newest one here', async () => {
    const { subject, bytes } = await coordinator();
    const other = await coordinator();
    await assert.rejects(other.subject.journal.adoptSnapshot(inPieces(bytes), 5), /another journal/);
    await subject.snapshot();
    await assert.rejects(subject.journal.adoptSnapshot(inPieces(bytes), 5), /newer one/);
  });

  test('of a higher epoch fences the journal it is given to', async () => {
    const { disk, subject } = await coordinator();
    const promoted = await JournalSubject.open(disk.killed());
    await promoted.journal.raiseEpoch(1);
    await promoted.snapshot();
    const reader = await promoted.journal.readSnapshot();
    const adopting = subject.journal.adoptSnapshot(reader?.chunks() ?? inPieces(Buffer.alloc(0)), 7);
    await assert.rejects(adopting, { code: 'COORDINATOR_FENCED' });
  });
});
