/** When a coordinator asks for its successor, and when it says that there is one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOK_EVERY_MS, SuccessorWatch } from '../../../../coordinator-server/checkpoint/successor-watch.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

/** A watch of a coordinator of term 3, and answers to give it. */
class Subject {
  readonly clock = new ManualClock();
  readonly told: number[] = [];
  readonly #open: ((term: number | undefined) => void)[] = [];
  asked = 0;
  readonly watch = new SuccessorWatch({
    clock: this.clock,
    term: 3,
    ask: () => {
      this.asked += 1;
      return new Promise((resolve) => void this.#open.push(resolve));
    },
    onSuccessor: (term) => void this.told.push(term),
  });

  async answer(term: number | undefined): Promise<void> {
    this.clock.advance(LOOK_EVERY_MS);
    this.#open.shift()?.(term);
    await new Promise((resolve) => void setImmediate(resolve));
  }
}

test('none, none of a later term, and one that does not answer are no successor; a later one is told once', async () => {
  const subject = new Subject();
  for (const term of [undefined, 2, 3, undefined]) await subject.answer(term);
  assert.deepEqual(subject.told, []);
  await subject.answer(4);
  assert.deepEqual(subject.told, [4]);
  await subject.answer(5);
  assert.deepEqual([subject.told, subject.asked], [[4], 5]);
});

test('one question is under way at a time', async () => {
  const subject = new Subject();
  subject.clock.advance(LOOK_EVERY_MS * 10);
  assert.equal(subject.asked, 1);
  await subject.answer(undefined);
  subject.clock.advance(LOOK_EVERY_MS);
  assert.equal(subject.asked, 2);
});

test('after its close nothing is told', async () => {
  const subject = new Subject();
  subject.clock.advance(LOOK_EVERY_MS);
  subject.watch.close();
  await subject.answer(4);
  assert.deepEqual([subject.told, subject.clock.pendingTimers], [[], 0]);
});
