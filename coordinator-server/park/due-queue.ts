/** What is due when: a binary heap by time. Pure. What is due no longer is found out by whoever takes it. */
export interface DueItem {
  readonly dueAtMs: number;
}

export class DueQueue<T extends DueItem> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  add(item: T): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(item);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if ((heap[parent] as T).dueAtMs <= item.dueAtMs) break;
      heap[index] = heap[parent] as T;
      index = parent;
    }
    heap[index] = item;
  }

  /** @returns the earliest when it is due by now, taken out */
  takeDue(nowMs: number): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.dueAtMs > nowMs) return undefined;
    const last = heap.pop() as T;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(item: T): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && (heap[right] as T).dueAtMs < (heap[child] as T).dueAtMs) child = right;
      if ((heap[child] as T).dueAtMs >= item.dueAtMs) break;
      heap[index] = heap[child] as T;
      index = child;
    }
    heap[index] = item;
  }
}
