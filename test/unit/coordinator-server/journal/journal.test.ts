/** The journal on a real disk: what is appended is told again, in order, after any end. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { Journal, type JournalOptions } from '../../../../coordinator-server/journal/journal.ts';
import { systemClock } from '../../../../shared/clock.ts';
import { silentLogger } from '../../../../shared/log.ts';
import { eventually } from '../../../support/eventually.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'journal-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

let folder = '';
let folders = 0;
beforeEach(() => {
  folders += 1;
  folder = path.join(root, String(folders));
});

async function openJournal(
  options: Partial<JournalOptions> = {},
): Promise<{ journal: Journal; told: [sequence: number, text: string][] }> {
  const told: [number, string][] = [];
  const onRecord = (payload: Buffer, sequence: number): void => void told.push([sequence, payload.toString()]);
  const journal = await Journal.open({ folder, clock: systemClock, log: silentLogger, onRecord, ...options });
  return { journal, told };
}

describe('a journal', () => {
  test('tells after a clean end what was appended, in order', async () => {
    const { journal } = await openJournal();
    assert.deepEqual(
      [1, 2, 3].map((n) => journal.append(Buffer.from(`record ${n}`), 'async')),
      [1, 2, 3],
    );
    await journal.close();
    const { journal: again, told } = await openJournal();
    assert.deepEqual(told, [
      [1, 'record 1'],
      [2, 'record 2'],
      [3, 'record 3'],
    ]);
    assert.deepEqual(again.recovery, { snapshotRecords: 0, journalRecords: 3, cutBytes: 0, snapshotDamage: '' });
    assert.equal(again.append(Buffer.from('record 4'), 'group'), 4);
    await again.close();
  });

  test('calls a group record durable at once, and an async one within its window', async () => {
    const { journal } = await openJournal({ flushEveryMs: 20 });
    const durable: number[] = [];
    journal.onDurable = (sequence) => void durable.push(sequence);
    journal.append(Buffer.from('a'), 'group');
    assert.equal(journal.durableSequence, 0);
    await eventually('the group record to be durable', () => journal.durableSequence === 1);
    journal.append(Buffer.from('b'), 'async');
    await eventually('the async record to be durable', () => journal.durableSequence === 2);
    assert.deepEqual(durable, [1, 2]);
    await journal.close();
  });
});
