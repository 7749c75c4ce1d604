/** What a journal finds again: after every torn end, every flipped bit, and a loss of power at every step. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PlatformError } from '../../../../shared/errors.ts';
import { seededRandom } from '../../../../shared/random.ts';
import { assertPrefix, JournalSubject } from '../../../support/journal-subject.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

const SEGMENT = '0000000000000001.journal';

/** A journal of three batches in one segment, killed: its last batch is not known to be durable. */
async function threeBatches(): Promise<{
  files: Map<string, Buffer>;
  appended: Map<number, string>;
  lastBatch: number;
}> {
  const disk = new SimulatedDisk();
  const subject = await JournalSubject.open(disk);
  await subject.write('one', 'two');
  await subject.write('three');
  const lastBatch = disk.files.get(SEGMENT)?.length ?? 0;
  await subject.write('four', 'five');
  return { files: disk.files, appended: subject.held, lastBatch };
}

function withFile(files: ReadonlyMap<string, Buffer>, name: string, bytes: Buffer): SimulatedDisk {
  return new SimulatedDisk(new Map([...files, [name, bytes]]));
}

async function openOrCorrupt(disk: SimulatedDisk): Promise<JournalSubject | PlatformError> {
  try {
    return await JournalSubject.open(disk);
  } catch (thrown) {
    assert.ok(thrown instanceof PlatformError, String((thrown as Error).stack));
    assert.equal(thrown.code, 'JOURNAL_CORRUPT');
    assert.match(thrown.detail, /record \d+(, | at )byte \d+|snapshot|byte/);
    return thrown;
  }
}

describe('a torn end', () => {
  test('is cut off wherever the last batch was cut short, and the journal goes on behind it', async () => {
    const { files, appended, lastBatch } = await threeBatches();
    const whole = files.get(SEGMENT) as Buffer;
    for (let length = lastBatch; length <= whole.length; length++) {
      const disk = withFile(files, SEGMENT, whole.subarray(0, length));
      const found = await JournalSubject.open(disk);
      assertPrefix(found, appended, 3);
      await found.write('new');
      const again = await JournalSubject.open(disk.killed());
      assertPrefix(again, found.held, found.journal.lastSequence);
      assert.equal(again.journal.recovery.cutBytes, 0, 'expected the torn end to be cut once');
    }
  });

  test('is reported with its bytes', async () => {
    const { files } = await threeBatches();
    const whole = files.get(SEGMENT) as Buffer;
    const found = await JournalSubject.open(withFile(files, SEGMENT, whole.subarray(0, -1)));
    assert.equal(found.journal.recovery.journalRecords, 4);
    assert.equal(found.journal.recovery.cutBytes, 16 + '5 five'.length - 1);
  });

  test('may lack pages in any order: what is behind the first fault goes, whole or not', async () => {
    const { files, appended, lastBatch } = await threeBatches();
    const damaged = Buffer.from(files.get(SEGMENT) as Buffer);
    damaged.fill(0, lastBatch + 24, lastBatch + 40);
    const found = await JournalSubject.open(withFile(files, SEGMENT, damaged));
    assert.equal(found.journal.lastSequence, 3);
    assertPrefix(found, appended, 3);
  });
});

test('a copy of a mark, as a record may hold one, proves nothing about what is before it', async () => {
  const disk = new SimulatedDisk();
  const subject = await JournalSubject.open(disk);
  await subject.write('one');
  const mark = Buffer.from((disk.files.get(SEGMENT) as Buffer).subarray(64, 88));
  const lastBatch = disk.files.get(SEGMENT)?.length ?? 0;
  subject.append('two');
  subject.journal.append(mark, 'group');
  await subject.settle();
  const damaged = Buffer.from(disk.files.get(SEGMENT) as Buffer);
  damaged.fill(0, lastBatch + 24, lastBatch + 40);
  const found = await JournalSubject.open(withFile(disk.files, SEGMENT, damaged));
  assert.equal(found.journal.lastSequence, 1);
});

describe('damage', () => {
  test('names the file, the record and its place', async () => {
    const { files } = await threeBatches();
    const damaged = Buffer.from(files.get(SEGMENT) as Buffer);
    const at = damaged.indexOf('2 two');
    damaged[at] = 0x33;
    const refused = await openOrCorrupt(withFile(files, SEGMENT, damaged));
    assert.ok(refused instanceof PlatformError);
    assert.match(refused.detail, new RegExp(`${SEGMENT}: record 2, byte ${at - 16}: it does not match its checksum`));
  });

  test('of any single bit is never told as a record, and takes back nothing that is known to be durable', async () => {
    const { files, appended, lastBatch } = await threeBatches();
    const whole = files.get(SEGMENT) as Buffer;
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const found = await openOrCorrupt(withFile(files, SEGMENT, damaged));
      const isKnown = bit >> 3 < lastBatch;
      assert.equal(found instanceof PlatformError, isKnown, `bit ${bit}`);
      if (found instanceof JournalSubject) assertPrefix(found, appended, 3);
    }
  });

  test('of any single bit after a clean end loses no record', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk, { segmentBytesMax: 200 });
    await subject.write('one', 'two');
    await subject.write('three');
    await subject.snapshot();
    await subject.write('four');
    await subject.journal.close();
    let refused = 0;
    for (const [name, whole] of disk.files) {
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const damaged = Buffer.from(whole);
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        const found = await openOrCorrupt(withFile(disk.files, name, damaged));
        if (found instanceof JournalSubject) assertPrefix(found, subject.held, 4);
        else refused += 1;
      }
    }
    assert.ok(refused > 0);
  });

  test('a missing segment is a gap, and a missing first one a missing beginning', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk, { segmentBytesMax: 100 });
    await subject.write('one');
    await subject.write('two');
    await subject.write('three');
    await subject.journal.close();
    const names = [...disk.files.keys()].sort();
    assert.equal(names.length, 3);
    for (const missing of names.slice(0, 2)) {
      const rest = new Map([...disk.files].filter(([name]) => name !== missing));
      assert.ok((await openOrCorrupt(new SimulatedDisk(rest))) instanceof PlatformError);
    }
  });

  test('a file of another journal is not taken for one of this', async () => {
    const one = new SimulatedDisk();
    const other = new SimulatedDisk();
    for (const disk of [one, other]) {
      const subject = await JournalSubject.open(disk, { segmentBytesMax: 100 });
      await subject.write('one');
      await subject.write('two');
      await subject.journal.close();
    }
    const second = '0000000000000002.journal';
    const mixed = withFile(one.files, second, other.files.get(second) as Buffer);
    const refused = await openOrCorrupt(mixed);
    assert.ok(refused instanceof PlatformError);
    assert.match(refused.detail, /another journal/);
  });

  test('a record of an earlier life of the same file does not pass', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    await subject.write('one');
    const before = disk.files.get(SEGMENT) as Buffer;
    const again = new SimulatedDisk(new Map([[SEGMENT, before.subarray(0, 64)]]));
    const second = await JournalSubject.open(again);
    assert.equal(second.journal.lastSequence, 0);
    const stale = Buffer.concat([again.files.get(SEGMENT) as Buffer, before.subarray(64)]);
    const found = await JournalSubject.open(withFile(again.files, SEGMENT, stale));
    assert.equal(found.journal.lastSequence, 0);
    assert.equal(found.journal.recovery.cutBytes, before.length - 64);
  });
});

interface Life {
  readonly appended: Map<number, string>;
  acknowledged: number;
}

/** Three starts on one disk, each with rotations, a snapshot, and records behind it. Throws when the disk fails. */
async function live(disk: SimulatedDisk, life: Life): Promise<void> {
  for (const round of ['a', 'b', 'c']) {
    const subject = await JournalSubject.open(disk, { segmentBytesMax: 200 });
    try {
      for (let n = 0; n < 3; n++) await subject.write(`${round}${n}`, 'x'.repeat(30));
      if (subject.fatal === undefined) await subject.snapshot(() => void subject.append('meanwhile', 'async'));
      await subject.write('last');
    } finally {
      life.acknowledged = Math.max(life.acknowledged, subject.acknowledged);
      for (const [sequence, text] of subject.held) life.appended.set(sequence, text);
      await subject.journal.close();
    }
    if (subject.fatal !== undefined) throw subject.fatal;
  }
}

describe('a loss of power', () => {
  test('at every step of a life with rotations, snapshots and starts loses nothing that was called durable', async () => {
    let isWhole = false;
    let step = 0;
    while (!isWhole) {
      step += 1;
      const disk = new SimulatedDisk();
      disk.crashAtStep = step;
      const life: Life = { appended: new Map(), acknowledged: 0 };
      isWhole = await live(disk, life).then(
        () => true,
        () => false,
      );
      for (let seed = 0; seed < 8; seed++) {
        const found = await JournalSubject.open(disk.crashed(seededRandom(seed)));
        assertPrefix(found, life.appended, life.acknowledged);
      }
    }
    assert.ok(step > 50, `only ${step} steps`);
  });
});
