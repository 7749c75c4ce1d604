/**
 * Requests that wait for something and have a deadline, in an intrusive list: adding and removing costs two pointer
 * writes, and one sweep in SWEEP_EVERY_MS looks for those whose time is up. So there is no timer per request.
 *
 * N1: a member is in at most one list at a time, and `remove` of one that is not in it does nothing.
 */
import type { Clock, TimerHandle } from '../clock.ts';

/** How late a deadline may be noticed. */
export const SWEEP_EVERY_MS = 25;

/** Base class of what has a deadline; the links belong to the list. */
export class DeadlineMember {
  deadlineAtMs = 0;
  deadlineNext: DeadlineMember | null = null;
  deadlinePrevious: DeadlineMember | null = null;
}

export class DeadlineList<Member extends DeadlineMember> {
  readonly #head = new DeadlineMember();
  readonly #onExpired: (member: Member) => void;
  readonly #clock: Clock;
  readonly #timer: TimerHandle;
  #length = 0;

  constructor(clock: Clock, onExpired: (member: Member) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
    this.#timer = clock.every(SWEEP_EVERY_MS, () => this.sweep());
  }

  get length(): number {
    return this.#length;
  }

  /** Any member; undefined when there is none. */
  get first(): Member | undefined {
    return (this.#head.deadlineNext as Member | null) ?? undefined;
  }

  add(member: Member): void {
    const first = this.#head.deadlineNext;
    member.deadlineNext = first;
    member.deadlinePrevious = this.#head;
    if (first !== null) first.deadlinePrevious = member;
    this.#head.deadlineNext = member;
    this.#length++;
  }

  /** N1 */
  remove(member: Member): void {
    const previous = member.deadlinePrevious;
    if (previous === null) return;
    previous.deadlineNext = member.deadlineNext;
    if (member.deadlineNext !== null) member.deadlineNext.deadlinePrevious = previous;
    member.deadlineNext = null;
    member.deadlinePrevious = null;
    this.#length--;
  }

  /** Removes and reports every member whose deadline has passed. Called by the list's own timer. */
  sweep(): void {
    if (this.#length === 0) return;
    const nowMs = this.#clock.nowMs();
    let member = this.#head.deadlineNext;
    while (member !== null) {
      const next: DeadlineMember | null = member.deadlineNext;
      if (member.deadlineAtMs <= nowMs) {
        this.remove(member as Member);
        this.#onExpired(member as Member);
        // What one expiry led to has taken the next out: the way on is lost, and the next sweep finds the rest.
        if (next !== null && next.deadlinePrevious === null) return;
      }
      member = next;
    }
  }

  close(): void {
    this.#timer.cancel();
  }
}
