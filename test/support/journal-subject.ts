/** A journal and an owner that keeps what it appends, and knows what must be there after any end. */
import assert from 'node:assert/strict';
import { Journal, type JournalOptions } from '../../coordinator-server/journal/journal.ts';
import type { JournalFiles } from '../../coordinator-server/journal/journal-files.ts';
import type { Durability } from '../../coordinator-server/journal/journal-writer.ts';
import { silentLogger } from '../../shared/log.ts';
import { ManualClock } from './manual-clock.ts';

const TURNS_MAX = 1_000;

/** Lets everything that waits for no timer come to its end. */
export async function turns(until: () => boolean): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX && !until(); turn++) await new Promise((resolve) => void setImmediate(resolve));
  assert.ok(until(), 'expected it to happen without a timer');
}

/** To see that nothing happens: far more turns than anything here takes. */
export async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => void setImmediate(resolve));
}

export class JournalSubject {
  readonly clock = new ManualClock();
  /** What the owner holds: text by sequence, as of the last record told or appended. */
  readonly held = new Map<number, string>();
  /** Sequences of the journal records told at the start, in order. */
  readonly told: number[] = [];
  /** Highest sequence that was ever called durable. */
  acknowledged = 0;
  /** Reasons, one for each time records were taken back. */
  readonly refusals: string[] = [];
  restored = 0;
  fatal: Error | undefined;
  #journal: Journal | undefined;

  static async open(files: JournalFiles, options: Partial<JournalOptions> = {}): Promise<JournalSubject> {
    const subject = new JournalSubject();
    const journal = await Journal.open({
      folder: 'journal',
      clock: subject.clock,
      log: silentLogger,
      files,
      onRecord: (payload, sequence) => subject.#tell(payload, sequence),
      onFatal: (error) => {
        subject.fatal = error;
      },
      ...options,
    });
    subject.#journal = journal;
    subject.acknowledged = journal.durableSequence;
    journal.onDurable = (sequence) => {
      subject.acknowledged = sequence;
    };
    journal.onRefused = (sequence, reason) => {
      subject.refusals.push(reason);
      for (const key of [...subject.held.keys()]) if (key > sequence) subject.held.delete(key);
    };
    journal.onRestored = () => {
      subject.restored += 1;
    };
    return subject;
  }

  get journal(): Journal {
    return this.#journal as Journal;
  }

  append(text: string, durability: Durability = 'group'): number {
    const sequence = this.journal.lastSequence + 1;
    assert.equal(this.journal.append(Buffer.from(`${sequence} ${text}`), durability), sequence);
    this.held.set(sequence, text);
    return sequence;
  }

  /** Appends and waits until it is durable. */
  async write(...texts: readonly string[]): Promise<void> {
    for (const text of texts) this.append(text);
    await this.settle();
  }

  /** Waits until what was appended is durable, taken back, or the journal has failed. */
  async settle(): Promise<void> {
    const { journal } = this;
    this.clock.advance(20);
    const taken = this.refusals.length;
    await turns(
      () =>
        journal.durableSequence === journal.lastSequence || this.refusals.length > taken || this.fatal !== undefined,
    );
  }

  /** @param betweenRecords what else happens meanwhile */
  async snapshot(betweenRecords: () => void = () => {}): Promise<void> {
    const writer = this.journal.beginSnapshot();
    // A map that grows while it is walked is walked to its end: as fuzzy as a snapshot gets.
    for (const [sequence, text] of this.held) {
      if (sequence > writer.fromSequence + 20) break;
      await writer.append(Buffer.from(`${sequence} ${text}`));
      betweenRecords();
    }
    await writer.commit();
  }

  #tell(payload: Buffer, sequence: number): void {
    const text = payload.toString();
    const key = Number(text.slice(0, text.indexOf(' ')));
    if (sequence !== 0) {
      assert.equal(key, sequence, 'expected a record under its own sequence');
      this.told.push(sequence);
    }
    this.held.set(key, text.slice(text.indexOf(' ') + 1));
  }
}

/**
 * What was found again is a beginning of what was appended, without a gap or a change, and at least up to `atLeast`.
 * @param appended text by sequence, of what was never taken back
 */
export function assertPrefix(found: JournalSubject, appended: ReadonlyMap<number, string>, atLeast: number): void {
  const last = found.journal.lastSequence;
  assert.ok(last >= atLeast, `expected at least ${atLeast} records, got ${last}`);
  const expected = new Map([...appended].filter(([sequence]) => sequence <= last));
  assert.equal(expected.size, last, 'expected no record that was never appended');
  assert.deepEqual(new Map([...found.held].sort(([a], [b]) => a - b)), expected);
  for (const [index, sequence] of found.told.entries()) {
    assert.equal(sequence, (found.told[0] as number) + index, 'expected every record once and in order');
  }
}
