/** A journal against a simple model, through any sequence of writes, full disks, snapshots, ends and losses of power. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PROBE_EVERY_MS } from '../../../../coordinator-server/journal/journal-limits.ts';
import { seededRandom } from '../../../../shared/random.ts';
import { assertPrefix, JournalSubject, manyTurns } from '../../../support/journal-subject.ts';
import { fewerRuns } from '../../../support/property-runs.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

type Step =
  | { readonly do: 'append'; readonly texts: readonly number[]; readonly durability: 'group' | 'async' }
  | { readonly do: 'flush' | 'snapshot' | 'close' | 'kill' | 'room' }
  | { readonly do: 'fill'; readonly freeBytes: number }
  | { readonly do: 'crash'; readonly seed: number; readonly afterSteps: number };

const APPEND: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('append' as const),
  texts: fc.array(fc.nat(80), { minLength: 1, maxLength: 5 }),
  durability: fc.constantFrom('group' as const, 'async' as const),
});
const OTHER: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('flush' as const, 'snapshot' as const, 'close' as const, 'kill' as const, 'room' as const),
  }),
  fc.record({ do: fc.constant('fill' as const), freeBytes: fc.nat(400) }),
  fc.record({ do: fc.constant('crash' as const), seed: fc.nat(), afterSteps: fc.nat(12) }),
);

const OPTIONS = { segmentBytesMax: 400 };

/** The world of one case: a disk, the journal on it, and what was ever appended and not taken back. */
class World {
  disk = new SimulatedDisk();
  subject!: JournalSubject;

  async open(): Promise<void> {
    this.subject = await JournalSubject.open(this.disk, OPTIONS);
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'append':
        for (const length of step.texts) {
          if (this.subject.journal.failure === '') this.subject.append('x'.repeat(length), step.durability);
        }
        return;
      case 'flush':
        return this.subject.settle();
      case 'snapshot':
        await this.subject
          .snapshot(() => this.appendMeanwhile())
          .catch((thrown: unknown) => {
            assert.equal((thrown as { code?: string }).code, 'STORE_UNAVAILABLE');
          });
        return;
      case 'fill':
        this.disk.capacityBytes = [...this.disk.files.values()].reduce(
          (sum, { length }) => sum + length,
          step.freeBytes,
        );
        return;
      case 'room':
        this.disk.capacityBytes = Number.POSITIVE_INFINITY;
        this.subject.clock.advance(PROBE_EVERY_MS);
        return manyTurns();
      case 'close':
        await this.subject.journal.close();
        return this.again(this.disk.killed(), this.subject.journal.lastSequence);
      case 'kill':
        return this.again(this.disk.killed(), this.subject.acknowledged);
      case 'crash':
        return this.crash(step.seed, step.afterSteps);
    }
  }

  appendMeanwhile(): void {
    if (this.subject.journal.failure === '') this.subject.append('meanwhile', 'async');
  }

  /** The power goes in the middle of what is under way, and again while it is read after that. */
  async crash(seed: number, afterSteps: number): Promise<void> {
    const random = seededRandom(seed);
    this.disk.crashAtStep = this.disk.steps + 1 + afterSteps;
    this.subject.clock.advance(20);
    await manyTurns();
    const { acknowledged } = this.subject;
    const restarted = this.disk.crashed(random);
    restarted.crashAtStep = 1 + Math.floor(random.float() * 6);
    await JournalSubject.open(restarted, OPTIONS).catch(() => undefined);
    await this.again(restarted.crashed(random), acknowledged);
  }

  /** Opens what is left, which must be a beginning of what was appended. */
  async again(disk: SimulatedDisk, atLeast: number): Promise<void> {
    const { held } = this.subject;
    this.disk = disk;
    await this.open();
    assertPrefix(this.subject, held, atLeast);
  }
}

test('whatever happens, what was called durable is told again, and nothing that never was', async () => {
  const steps = fc.array(fc.oneof({ weight: 2, arbitrary: APPEND }, { weight: 3, arbitrary: OTHER }), {
    maxLength: 25,
  });
  const property = fc.asyncProperty(steps, async (taken) => {
    const world = new World();
    await world.open();
    for (const step of taken) await world.take(step);
    await world.crash(taken.length, taken.length % 7);
    assert.equal(world.subject.fatal, undefined);
  });
  await fc.assert(property, fewerRuns(4));
});
