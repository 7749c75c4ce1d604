/** First in, first out, in a ring that never grows past its bound: no allocation per item once it has grown. */

const FIRST_SLOTS = 64;

export class BoundedQueue<Item> {
  readonly capacity: number;
  #slots: (Item | undefined)[] = new Array(FIRST_SLOTS);
  #head = 0;
  #length = 0;

  /** @param capacity most items held, ≥ 1 */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns false, and takes nothing, when the queue is full */
  push(item: Item): boolean {
    if (this.#length >= this.capacity) return false;
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length++;
    return true;
  }

  shift(): Item | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length--;
    return item;
  }

  peek(): Item | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head];
  }

  #grow(): void {
    const grown: (Item | undefined)[] = new Array(this.#slots.length * 2);
    for (let index = 0; index < this.#length; index++) {
      grown[index] = this.#slots[(this.#head + index) & (this.#slots.length - 1)];
    }
    this.#slots = grown;
    this.#head = 0;
  }
}
