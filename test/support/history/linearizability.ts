/**
 * Whether a history of operations on one thing could have happened one after another: each at one instant between its
 * call and its answer, in an order that explains every answer. After Wing and Gong, with Lowe's memory of what was tried.
 *
 * J1: what no order explains is refused; an order found is one that explains every answer.
 * J2: an operation without an answer may take effect at any time after its call, or never.
 * J3: what changes nothing is placed as soon as it fits: an order that has it later has one with it here, too.
 * J4: a search that takes more than STEPS_MAX is undecided, which no test may take for a yes.
 */

/** Enough for hundreds of operations at a time's dozen callers; a second or two. */
export const STEPS_MAX = 500_000;

export interface Operation<I, O> {
  /** Who called: for messages. */
  readonly client: string;
  readonly input: I;
  readonly calledAtMs: number;
  /** Undefined: no answer came. */
  readonly answer: { readonly output: O; readonly atMs: number } | undefined;
}

export interface Model<S, I, O> {
  readonly initial: S;
  /** @param output undefined: not known @returns the state after it; undefined: this cannot be answered in this state */
  step(state: S, input: I, output: O | undefined): S | undefined;
  /** Equal for equal states. */
  keyOf(state: S): string;
  /**
   * Whether an answer shows that an operation without one took effect. Only makes the search shorter: false is always
   * right.
   */
  shows(output: O, input: I): boolean;
}

export type Verdict<I, O> =
  | { readonly kind: 'linearizable' }
  /** `longest`: as far as any order went; `stuck`: could not be placed behind it. */
  | {
      readonly kind: 'not-linearizable';
      readonly longest: readonly Operation<I, O>[];
      readonly stuck: Operation<I, O>;
    }
  | { readonly kind: 'undecided'; readonly steps: number };

/** The call or the answer of an operation, in a list by time from which placed operations are taken out. */
class Moment<I, O> {
  readonly index: number;
  readonly operation: Operation<I, O>;
  readonly atMs: number;
  /** Of a call: its answer. */
  answer: Moment<I, O> | undefined;
  before: Moment<I, O> | undefined;
  after: Moment<I, O> | undefined;

  constructor(index: number, operation: Operation<I, O>, atMs: number) {
    this.index = index;
    this.operation = operation;
    this.atMs = atMs;
  }
}

interface Placed<S, I, O> {
  readonly moment: Moment<I, O>;
  /** Before it. */
  readonly state: S;
  readonly isOptional: boolean;
  /** It changed nothing: no reason to try without it (J3). */
  readonly isFree: boolean;
}

export function checkLinearizable<S, I, O>(
  model: Model<S, I, O>,
  operations: readonly Operation<I, O>[],
): Verdict<I, O> {
  return new Search(model, operations).run();
}

class Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #head: Moment<I, O>;
  /** Without an answer, and nothing shows that they took effect (J2): by the time of their calls. */
  readonly #optional: Moment<I, O>[] = [];
  readonly #placed: Placed<S, I, O>[] = [];
  /** A bit an operation. */
  readonly #isPlaced: Uint16Array;
  readonly #tried = new Set<string>();
  #state: S;
  #longest: readonly Operation<I, O>[] = [];
  #stuck: Operation<I, O> | undefined;

  constructor(model: Model<S, I, O>, operations: readonly Operation<I, O>[]) {
    this.#model = model;
    this.#state = model.initial;
    this.#isPlaced = new Uint16Array(Math.ceil(operations.length / 16));
    const moments: Moment<I, O>[] = [];
    for (const [index, operation] of operations.entries()) {
      const call = new Moment(index, operation, operation.calledAtMs);
      const endMs = operation.answer?.atMs ?? shownAtMs(model, operation, operations);
      if (endMs === undefined) {
        this.#optional.push(call);
        continue;
      }
      call.answer = new Moment(index, operation, endMs);
      moments.push(call, call.answer);
    }
    this.#optional.sort((a, b) => a.atMs - b.atMs);
    // At the same instant calls come first: then both orders are allowed.
    moments.sort((a, b) => a.atMs - b.atMs || Number(a.answer === undefined) - Number(b.answer === undefined));
    this.#head = new Moment(-1, operations[0] as Operation<I, O>, Number.NEGATIVE_INFINITY);
    let last = this.#head;
    for (const moment of moments) {
      last.after = moment;
      moment.before = last;
      last = moment;
    }
  }

  run(): Verdict<I, O> {
    let moment = this.#head.after;
    for (let steps = 0; moment !== undefined; steps++) {
      if (steps > STEPS_MAX) return { kind: 'undecided', steps }; // J4
      if (moment.answer !== undefined) {
        moment = this.#place(moment, false) ? this.#head.after : moment.after;
        continue;
      }
      // An answer that nothing explains: something unseen may have come before, or an earlier choice was wrong.
      if (this.#placeOptional(moment.atMs)) {
        moment = this.#head.after;
        continue;
      }
      this.#noteStuck(moment.operation);
      const undone = this.#undo();
      if (undone === undefined) return this.#refusal(); // J1
      moment = undone;
    }
    return { kind: 'linearizable' };
  }

  #place(moment: Moment<I, O>, isOptional: boolean): boolean {
    const { operation, index } = moment;
    const next = this.#model.step(this.#state, operation.input, operation.answer?.output);
    const isFree = next === this.#state;
    // Without an answer it is placed for its effect.
    if (next === undefined || (isFree && operation.answer === undefined)) return false;
    this.#mark(index, true);
    const key = `${String.fromCharCode(...this.#isPlaced)}${this.#model.keyOf(next)}`;
    if (!isFree && this.#tried.has(key)) {
      this.#mark(index, false);
      return false;
    }
    if (!isFree) this.#tried.add(key);
    this.#placed.push({ moment, state: this.#state, isOptional, isFree });
    this.#state = next;
    if (!isOptional) takeOut(moment);
    return true;
  }

  #placeOptional(beforeMs: number): boolean {
    for (const moment of this.#optional) {
      if (moment.atMs > beforeMs) return false;
      if (!this.#isMarked(moment.index) && this.#place(moment, true)) return true;
    }
    return false;
  }

  /** @returns where to go on; undefined when everything was tried */
  #undo(): Moment<I, O> | undefined {
    for (let last = this.#placed.pop(); last !== undefined; last = this.#placed.pop()) {
      const { moment, state, isOptional, isFree } = last;
      this.#state = state;
      this.#mark(moment.index, false);
      if (isOptional) return this.#head.after; // what it led to is remembered as tried
      putBack(moment);
      if (!isFree) return moment.after; // J3
    }
    return undefined;
  }

  #noteStuck(operation: Operation<I, O>): void {
    if (this.#stuck !== undefined && this.#placed.length <= this.#longest.length) return;
    this.#longest = this.#placed.map(({ moment }) => moment.operation);
    this.#stuck = operation;
  }

  #refusal(): Verdict<I, O> {
    return { kind: 'not-linearizable', longest: this.#longest, stuck: this.#stuck as Operation<I, O> };
  }

  #mark(index: number, isPlaced: boolean): void {
    const word = index >>> 4;
    const bit = 1 << (index & 15);
    this.#isPlaced[word] = isPlaced ? (this.#isPlaced[word] ?? 0) | bit : (this.#isPlaced[word] ?? 0) & ~bit;
  }

  #isMarked(index: number): boolean {
    return ((this.#isPlaced[index >>> 4] ?? 0) & (1 << (index & 15))) !== 0;
  }
}

/** When an operation without an answer had taken effect at the latest: whoever saw it had been answered. */
function shownAtMs<S, I, O>(
  model: Model<S, I, O>,
  { input }: Operation<I, O>,
  operations: readonly Operation<I, O>[],
): number | undefined {
  let atMs: number | undefined;
  for (const { answer } of operations)
    if (answer !== undefined && model.shows(answer.output, input)) atMs = Math.min(atMs ?? answer.atMs, answer.atMs);
  return atMs;
}

function takeOut<I, O>(call: Moment<I, O>): void {
  for (const moment of [call, call.answer as Moment<I, O>]) {
    if (moment.before !== undefined) moment.before.after = moment.after;
    if (moment.after !== undefined) moment.after.before = moment.before;
  }
}

/** The last one taken out first. */
function putBack<I, O>(call: Moment<I, O>): void {
  for (const moment of [call.answer as Moment<I, O>, call]) {
    if (moment.before !== undefined) moment.before.after = moment;
    if (moment.after !== undefined) moment.after.before = moment;
  }
}
