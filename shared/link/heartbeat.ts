/** PING and PONG of one link: how long they take, and whether the peer has heard of a drain. */

export class Heartbeat {
  /** From a PING to its PONG, the newest. */
  pongMs = 0;
  /** The peer has heard of our drain, and so every request it sent before that has come. */
  drainHeard = false;
  #sequence = 0;
  #sentAtMs = 0;
  /** Of the PING that went out behind our DRAIN. */
  #drainSequence: number | undefined;

  /** @returns sequence of the PING that goes out now */
  ping(nowMs: number): number {
    this.#sentAtMs = nowMs;
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  /** Before the PING that goes out behind a DRAIN. @returns false when there was one before */
  beginDrain(): boolean {
    if (this.#drainSequence !== undefined) return false;
    this.#drainSequence = this.#sequence + 1;
    return true;
  }

  pong(sequence: number, nowMs: number): void {
    if (sequence === this.#sequence) this.pongMs = nowMs - this.#sentAtMs;
    if (this.#drainSequence !== undefined && sequence >= this.#drainSequence) this.drainHeard = true;
  }
}
