/** Batches, rotation, full disks, failing syncs: what the writer promises while the disk does what it likes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PROBE_EVERY_MS, SEAL_AFTER_MS } from '../../../../coordinator-server/journal/journal-limits.ts';
import { seededRandom } from '../../../../shared/random.ts';
import { assertPrefix, JournalSubject, manyTurns, turns } from '../../../support/journal-subject.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

/** Counts what is done with each kind of operation. */
function counting(disk: SimulatedDisk): Map<string, number> {
  const counts = new Map<string, number>();
  disk.onStep = (operation) => void counts.set(operation, (counts.get(operation) ?? 0) + 1);
  return counts;
}

describe('a flush', () => {
  test('takes everything that came while the one before was under way', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    const counts = counting(disk);
    const durable: number[] = [];
    subject.journal.onDurable = (sequence) => {
      durable.push(sequence);
      if (sequence === 1) for (let n = 0; n < 100; n++) subject.append('more');
    };
    subject.append('first');
    await turns(() => subject.journal.durableSequence === 101);
    assert.deepEqual(durable, [1, 101]);
    assert.equal(counts.get('datasync'), 2);
  });

  test('calls nothing durable before its sync has returned', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    const seen: number[] = [];
    disk.onStep = (operation) => {
      if (operation === 'datasync') seen.push(subject.journal.durableSequence);
    };
    await subject.write('one');
    await subject.write('two');
    assert.deepEqual(seen, [0, 1]);
  });

  test('of async records comes after flushEveryMs', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk, { flushEveryMs: 10 });
    const counts = counting(disk);
    subject.append('one', 'async');
    subject.clock.advance(9);
    await manyTurns();
    assert.equal(counts.get('write'), undefined);
    subject.clock.advance(1);
    await turns(() => subject.journal.durableSequence === 1);
  });

  test('marks the end as durable once nothing comes for a while, and only once', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    await subject.write('one');
    const counts = counting(disk);
    for (let times = 0; times < 3; times++) {
      subject.clock.advance(SEAL_AFTER_MS);
      await manyTurns();
    }
    assert.equal(counts.get('datasync'), 1);
  });

  test('goes on in another segment when the one is full, and all are told', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk, { segmentBytesMax: 300 });
    for (let n = 0; n < 20; n++) await subject.write('x'.repeat(n * 5));
    assert.ok(disk.files.size > 5, `${disk.files.size} segments`);
    const found = await JournalSubject.open(disk.killed());
    assertPrefix(found, subject.held, 20);
  });
});

describe('too much at once', () => {
  test('is refused until the disk has taken what waits', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    const large = Buffer.alloc(33 * 1024 * 1024);
    subject.journal.append(large, 'group');
    subject.journal.append(large, 'group');
    assert.throws(() => subject.journal.append(Buffer.from('x'), 'group'), { code: 'STORE_UNAVAILABLE' });
    await subject.settle();
    assert.equal(subject.journal.append(Buffer.from('3 x'), 'group'), 3);
    await subject.settle();
  });
});

describe('a full disk', () => {
  test('at every byte takes back what is not durable, refuses, and takes records again when there is room', async () => {
    const sizes = new SimulatedDisk();
    const whole = await JournalSubject.open(sizes, { segmentBytesMax: 200 });
    await lifeOn(whole);
    const bytesMax = [...sizes.files.values()].reduce((sum, { length }) => sum + length, 0);
    for (let capacity = 0; capacity < bytesMax; capacity++) {
      const disk = new SimulatedDisk();
      disk.capacityBytes = capacity;
      const subject = await JournalSubject.open(disk, { segmentBytesMax: 200 });
      await lifeOn(subject);
      assert.match(subject.journal.failure, /ENOSPC.*refused until there is room/);
      assert.throws(() => subject.journal.append(Buffer.from('x'), 'async'), { code: 'STORE_UNAVAILABLE' });
      assert.equal(subject.journal.lastSequence, subject.journal.durableSequence);
      assertPrefix(await JournalSubject.open(disk.killed()), subject.held, subject.acknowledged);
      for (let seed = 0; seed < 4; seed++) {
        const found = await JournalSubject.open(disk.crashed(seededRandom(seed)));
        assertPrefix(found, subject.held, subject.acknowledged);
      }
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      subject.clock.advance(PROBE_EVERY_MS);
      await turns(() => subject.restored === 1);
      await subject.write('again');
      assertPrefix(await JournalSubject.open(disk.killed()), subject.held, subject.acknowledged);
      assert.equal(subject.fatal, undefined);
    }
  });

  test('is tried again until there is room for more than a head', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    disk.capacityBytes = 100;
    await subject.write('x'.repeat(100));
    assert.equal(subject.refusals.length, 1);
    for (const capacityBytes of [200, 10_000, 400_000]) {
      disk.capacityBytes = capacityBytes;
      subject.clock.advance(PROBE_EVERY_MS);
      await manyTurns();
      assert.equal(subject.restored, capacityBytes === 400_000 ? 1 : 0, `${capacityBytes} bytes`);
    }
  });

  test('met by a file-size limit or a quota is the same', async () => {
    for (const code of ['EFBIG', 'EDQUOT']) {
      const disk = new SimulatedDisk();
      const subject = await JournalSubject.open(disk);
      await subject.write('one');
      disk.onStep = (operation) => {
        if (operation === 'write') throw Object.assign(new Error(code), { code });
      };
      await subject.write('two');
      assert.equal(subject.refusals.length, 1);
      assert.deepEqual([...subject.held.keys()], [1]);
    }
  });
});

/** Six records in two batches each; those after a refusal are not appended. */
async function lifeOn(subject: JournalSubject): Promise<void> {
  for (let n = 0; n < 3 && subject.journal.failure === ''; n++) await subject.write('record', 'x'.repeat(30));
}

describe('a disk that fails', () => {
  for (const operation of ['write', 'datasync']) {
    test(`at a ${operation} ends it: nothing more is called durable or taken`, async () => {
      const disk = new SimulatedDisk();
      const subject = await JournalSubject.open(disk);
      await subject.write('one');
      disk.onStep = (step) => {
        if (step === operation) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      };
      await subject.write('two');
      assert.match(String(subject.fatal), /EIO/);
      assert.equal(subject.acknowledged, 1);
      assert.equal(subject.refusals.length, 0);
      assert.throws(() => subject.journal.append(Buffer.from('x'), 'group'), { code: 'STORE_UNAVAILABLE' });
      await subject.journal.close();
    });
  }

  test('with ENOSPC at a sync ends it, too: nobody knows what is on the disk', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    disk.onStep = (step) => {
      if (step === 'datasync') throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    await subject.write('one');
    assert.match(String(subject.fatal), /ENOSPC/);
  });
});

describe('an epoch', () => {
  test('once raised stays so, over an end at once, and only grows', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    await subject.write('one');
    subject.append('two');
    await subject.journal.raiseEpoch(7);
    await subject.settle();
    const found = await JournalSubject.open(disk.killed());
    assert.equal(found.journal.epoch, 7);
    assertPrefix(found, subject.held, 2);
    await assert.rejects(found.journal.raiseEpoch(7), RangeError);
  });

  test('is raised also while batch follows batch', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk());
    let batches = 0;
    let raisedAfter = 0;
    subject.journal.onDurable = () => {
      batches += 1;
      if (batches < 100) subject.append('more');
      if (batches !== 3) return;
      subject.journal.raiseEpoch(1).then(
        () => {
          raisedAfter = batches;
        },
        () => undefined,
      );
    };
    subject.append('first');
    await turns(() => batches === 100);
    assert.equal(raisedAfter, 3);
  });

  test('is raised by one at a time', async () => {
    const subject = await JournalSubject.open(new SimulatedDisk());
    const raising = [2, 3, 4].map((epoch) => subject.journal.raiseEpoch(epoch));
    const outcomes = await Promise.allSettled(raising);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected'],
    );
    assert.equal(subject.journal.epoch, 3);
  });

  test('that cannot be written is not raised', async () => {
    const disk = new SimulatedDisk();
    const subject = await JournalSubject.open(disk);
    await subject.write('one');
    disk.capacityBytes = 0;
    await assert.rejects(subject.journal.raiseEpoch(7), { code: 'STORE_UNAVAILABLE' });
    assert.equal(subject.journal.epoch, 0);
    assert.equal(subject.fatal, undefined);
  });
});
