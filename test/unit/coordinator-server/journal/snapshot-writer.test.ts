/** Snapshots: written while records come, whole or not at all, and what goes when they are there. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PROBE_EVERY_MS } from '../../../../coordinator-server/journal/journal-limits.ts';
import { assertPrefix, JournalSubject, turns } from '../../../support/journal-subject.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

const names = (disk: SimulatedDisk, end: string): string[] =>
  [...disk.files.keys()].filter((name) => name.endsWith(end)).sort();

async function withRecords(
  count: number,
  segmentBytesMax = 300,
): Promise<{ disk: SimulatedDisk; subject: JournalSubject }> {
  const disk = new SimulatedDisk();
  const subject = await JournalSubject.open(disk, { segmentBytesMax });
  for (let n = 0; n < count; n++) await subject.write(`record ${n}`);
  return { disk, subject };
}

function damage(disk: SimulatedDisk, name: string): SimulatedDisk {
  const bytes = Buffer.from(disk.files.get(name) as Buffer);
  bytes[100] = (bytes[100] as number) ^ 1;
  return new SimulatedDisk(new Map([...disk.files, [name, bytes]]));
}

describe('a snapshot', () => {
  test('is told before the records after its beginning', async () => {
    const { disk, subject } = await withRecords(10);
    await subject.snapshot();
    await subject.write('after');
    const found = await JournalSubject.open(disk.killed());
    assert.deepEqual(found.told, [11]);
    assert.equal(found.journal.recovery.snapshotRecords, 10);
    assertPrefix(found, subject.held, 11);
  });

  test('may be written while records come: together with those it is what there is', async () => {
    const { disk, subject } = await withRecords(10);
    await subject.snapshot(() => void subject.append('meanwhile', 'async'));
    assert.ok(subject.journal.lastSequence > 20);
    const found = await JournalSubject.open(disk.killed());
    assertPrefix(found, subject.held, subject.acknowledged);
  });

  test('counts only once what it may show is durable', async () => {
    const { disk, subject } = await withRecords(3);
    const writer = subject.journal.beginSnapshot();
    subject.append('not durable yet', 'async');
    for (const [sequence, text] of subject.held) await writer.append(Buffer.from(`${sequence} ${text}`));
    const durable: number[] = [];
    disk.onStep = (operation, name) => {
      if (operation === 'rename' && name.endsWith('.snapshot')) durable.push(subject.journal.durableSequence);
    };
    await writer.commit();
    assert.deepEqual(durable, [4]);
    assert.deepEqual(names(disk, '.snapshot'), ['0000000000000004.snapshot']);
  });

  test('that may show what was taken back does not count', async () => {
    const { disk, subject } = await withRecords(3);
    const writer = subject.journal.beginSnapshot();
    await writer.append(Buffer.from('1 x'));
    disk.capacityBytes = 0;
    await subject.write('taken back');
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    subject.clock.advance(PROBE_EVERY_MS);
    await turns(() => subject.restored === 1);
    await assert.rejects(writer.commit(), { code: 'STORE_UNAVAILABLE' });
    assert.deepEqual([names(disk, '.snapshot'), names(disk, '.tmp')], [[], []]);
    await subject.snapshot();
    assert.equal(names(disk, '.snapshot').length, 1);
  });

  test('that does not fit the disk is given up, and records go on', async () => {
    const { disk, subject } = await withRecords(3);
    disk.onStep = (operation, name) => {
      if (operation === 'write' && name.includes('snapshot'))
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    await assert.rejects(subject.snapshot(), { code: 'STORE_UNAVAILABLE', message: /make room/ });
    await subject.write('goes on');
    assert.equal(subject.journal.failure, '');
    assertPrefix(await JournalSubject.open(disk.killed()), subject.held, 4);
  });

  test('is one at a time; an abandoned one leaves nothing behind', async () => {
    const { disk, subject } = await withRecords(3);
    const writer = subject.journal.beginSnapshot();
    assert.throws(() => subject.journal.beginSnapshot(), { code: 'STORE_UNAVAILABLE' });
    await writer.abandon();
    assert.deepEqual(names(disk, '.tmp'), []);
    await subject.snapshot();
  });

  test('makes the one before the last go, and the segments only that one needed', async () => {
    const { disk, subject } = await withRecords(10);
    await subject.snapshot();
    for (let n = 0; n < 10; n++) await subject.write('more');
    await subject.snapshot();
    assert.deepEqual(names(disk, '.snapshot'), ['0000000000000011.snapshot', '0000000000000021.snapshot']);
    const oldest = names(disk, '.journal')[0] as string;
    assert.ok(oldest > '0000000000000001' && oldest <= '0000000000000011', oldest);
    await subject.write('more');
    await subject.snapshot();
    assert.deepEqual(names(disk, '.snapshot'), ['0000000000000021.snapshot', '0000000000000022.snapshot']);
  });
});

describe('a damaged snapshot', () => {
  test('is set aside, and the one before it used with a longer tail', async () => {
    const { disk, subject } = await withRecords(10);
    await subject.snapshot();
    await subject.write('between');
    await subject.snapshot();
    await subject.write('after');
    const damaged = damage(disk, '0000000000000012.snapshot');
    const found = await JournalSubject.open(damaged);
    assertPrefix(found, subject.held, 12);
    assert.match(found.journal.recovery.snapshotDamage, /0012\.snapshot: it does not match the checksum/);
    assert.deepEqual(names(damaged, '.damaged'), ['0000000000000012.snapshot.damaged']);
  });

  test('that was the only one: the records from the first on are there still', async () => {
    const { disk, subject } = await withRecords(10);
    await subject.snapshot();
    const found = await JournalSubject.open(damage(disk, '0000000000000011.snapshot'));
    assertPrefix(found, subject.held, 10);
    assert.equal(found.told.length, 10);
  });

  test('with nothing whole before it is refused', async () => {
    const { disk, subject } = await withRecords(10);
    await subject.snapshot();
    for (let n = 0; n < 10; n++) await subject.write('more');
    await subject.snapshot();
    const [older = '', newer = ''] = names(disk, '.snapshot');
    const both = damage(damage(disk, older), newer);
    await assert.rejects(JournalSubject.open(both), { code: 'JOURNAL_CORRUPT', message: /nothing whole is left/ });
  });

  test('is cut short wherever it is', async () => {
    const { disk, subject } = await withRecords(3);
    await subject.snapshot();
    await subject.write('after');
    const name = '0000000000000004.snapshot';
    const whole = disk.files.get(name) as Buffer;
    for (let length = 0; length < whole.length; length++) {
      const found = await JournalSubject.open(
        new SimulatedDisk(new Map([...disk.files, [name, whole.subarray(0, length)]])),
      );
      assertPrefix(found, subject.held, 4);
      assert.notEqual(found.journal.recovery.snapshotDamage, '');
    }
  });
});

test('a journal that ends before what its snapshot shows is refused', async () => {
  const { disk, subject } = await withRecords(3, 1_000_000);
  const writer = subject.journal.beginSnapshot();
  subject.append('shown in part');
  await writer.append(Buffer.from('1 x'));
  await writer.commit();
  const segment = names(disk, '.journal')[0] as string;
  const cut = (disk.files.get(segment) as Buffer).subarray(0, -1);
  const refused = JournalSubject.open(new SimulatedDisk(new Map([...disk.files, [segment, cut]])));
  await assert.rejects(refused, { code: 'JOURNAL_CORRUPT', message: /record 4, byte \d+: .*up to record 4/ });
});
