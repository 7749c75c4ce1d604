/** Well-behaved clients on keep-alive connections, and how long they wait for their answers. */
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const REQUEST = 'GET /echo?account=bystander HTTP/1.1\r\nhost: x\r\n\r\n';
/** Between an answer and the next request: they are users, not a load. */
const PAUSE_MS = 2;

export class Bystanders {
  readonly #sockets: Socket[] = [];
  #running = true;
  #clients: Promise<void>[] = [];
  #times: number[] = [];
  /** Answers that were not 200, and connections that ended. */
  failures = 0;

  constructor(address: string, count: number) {
    const colon = address.lastIndexOf(':');
    const place = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true };
    for (let index = 0; index < count; index++) {
      const socket = connect(place);
      socket.on('error', () => undefined);
      this.#sockets.push(socket);
      this.#clients.push(this.#ask(socket));
    }
  }

  async #ask(socket: Socket): Promise<void> {
    while (this.#running) {
      const startedAt = performance.now();
      const answer = await this.#exchange(socket);
      if (!this.#running) return;
      if (!answer.startsWith('HTTP/1.1 200')) {
        this.failures++;
        return;
      }
      this.#times.push(performance.now() - startedAt);
      await pause(PAUSE_MS);
    }
  }

  #exchange(socket: Socket): Promise<string> {
    return new Promise((resolve) => {
      const done = (chunk?: Buffer): void => {
        socket.off('data', done);
        socket.off('close', done);
        resolve(String(chunk ?? ''));
      };
      socket.on('data', done); // the answer is small and comes in one piece
      socket.on('close', done);
      socket.write(REQUEST);
    });
  }

  /** Times of one window after the other. @returns the 99th percentile of each, ms */
  async windows(count: number, windowMs: number): Promise<number[]> {
    const slowest: number[] = [];
    for (let window = 0; window < count; window++) {
      this.#times = [];
      await pause(windowMs);
      const times = this.#times.toSorted((a, b) => a - b);
      slowest.push(times[Math.floor(times.length * 0.99)] ?? windowMs);
    }
    return slowest;
  }

  async close(): Promise<void> {
    this.#running = false;
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#clients);
  }
}
