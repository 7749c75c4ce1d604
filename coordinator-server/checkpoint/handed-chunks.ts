/** Bytes that come in pieces from one side and are taken in pieces by another: one piece waits at a time. */
export class HandedChunks {
  #waiting: { readonly chunk: Uint8Array; taken(): void; refused(reason: Error): void } | undefined;
  #wake: () => void = () => {};
  #end: 'no' | 'whole' | Error = 'no';

  /** Resolves when it was taken. @throws when there is nobody to take it any more */
  hand(chunk: Uint8Array): Promise<void> {
    if (this.#end instanceof Error) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#waiting = { chunk, taken: resolve, refused: reject };
      this.#wake();
    });
  }

  /** That was all. */
  finish(): void {
    if (this.#end === 'no') this.#end = 'whole';
    this.#wake();
  }

  /** No more comes, or is taken. */
  fail(reason: Error): void {
    if (this.#end === 'no') this.#end = reason;
    this.#waiting?.refused(reason);
    this.#waiting = undefined;
    this.#wake();
  }

  async *all(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const waiting = this.#waiting;
      if (waiting !== undefined) {
        this.#waiting = undefined;
        yield waiting.chunk;
        waiting.taken();
      } else if (this.#end instanceof Error) throw this.#end;
      else if (this.#end === 'whole') return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
