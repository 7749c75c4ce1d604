/**
 * Changes that are in force and not yet durable, and those who wait for them.
 *
 * W1: in the order of their sequences; what became durable leaves in that order.
 * W2: what the journal takes back leaves in the reverse order.
 */
import type { WriteOutcome } from '../../shared/park/park-model.ts';
import type { StoredChange, Undo } from '../park/park-state.ts';

export interface PendingChange {
  readonly sequence: number;
  readonly revision: number;
  readonly changes: readonly StoredChange[];
  readonly undo: readonly Undo[];
  readonly outcome: WriteOutcome;
  resolve(outcome: WriteOutcome): void;
  reject(reason: Error): void;
}

export interface Waiting {
  readonly sequence: number;
  resolve(): void;
  /** It was taken back. */
  reject(reason: Error): void;
}

export class PendingChanges {
  #changes: PendingChange[] = [];
  #waiting: Waiting[] = [];

  get size(): number {
    return this.#changes.length;
  }

  add(change: PendingChange): void {
    this.#changes.push(change);
  }

  wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
  }

  /** W1 */
  takeDurable(sequence: number): PendingChange[] {
    return this.#changes.splice(0, countUpTo(this.#changes, sequence));
  }

  takeWaiting(sequence: number): Waiting[] {
    return this.#waiting.splice(0, countUpTo(this.#waiting, sequence));
  }

  /** W2. Everything that waits is taken as well: nothing it waits for comes as it was. */
  takeBack(durableSequence: number): { readonly changes: PendingChange[]; readonly waiting: Waiting[] } {
    const changes = this.#changes.splice(countUpTo(this.#changes, durableSequence)).reverse();
    return { changes, waiting: this.#waiting.splice(0) };
  }
}

function countUpTo(items: readonly { readonly sequence: number }[], sequence: number): number {
  let count = 0;
  while (count < items.length && (items[count] as { sequence: number }).sequence <= sequence) count++;
  return count;
}
