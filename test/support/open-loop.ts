/**
 * Clients that come at a fixed rate, whether or not the ones before have been answered: what a server that is overloaded
 * really meets. Each has a connection to itself while it waits, from a pool that grows as needed.
 *
 * It costs the machine little (raw sockets, one write a request), so that the load is the servers', not its own.
 */
import assert from 'node:assert/strict';
import net from 'node:net';

export interface Answered {
  readonly status: number;
  readonly tookMs: number;
  /** In lower case. */
  readonly head: string;
}

export interface OpenLoopOptions {
  /** e.g. `http://127.0.0.1:8080`; taken in turn. */
  readonly urls: readonly string[];
  /** Path of the request with that number. */
  readonly path: (number: number) => string;
  readonly perSecond: number;
}

/** Requests leave in small bursts, as they come from many clients. */
const BURST_EVERY_MS = 4;

/** Requests of one load that wait for their answer: past this the server neither answers nor refuses. */
const WAITING_MAX = 8_000;

/** A server closes a connection that is idle for 10 s: one that is used again long before cannot meet that. */
const IDLE_MS_MAX = 4_000;

/** Far above every deadline. */
const ANSWER_MS_MAX = 20_000;

export class OpenLoop {
  readonly answers: Answered[] = [];
  /** Connections that broke or got no answer. */
  readonly broken: string[] = [];
  sent = 0;
  readonly #options: OpenLoopOptions;
  readonly #idle: Connection[][];

  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OpenLoopOptions) {
    this.#options = options;
    this.#idle = options.urls.map(() => []);
  }

  start(): this {
    this.#startedAt = performance.now();
    this.#timer = setInterval(() => this.#burst(), BURST_EVERY_MS);
    return this;
  }

  /** Sends nothing more. @returns once everything that was sent is answered, or its connection is broken */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const giveUpAt = performance.now() + ANSWER_MS_MAX;
    while (this.answers.length + this.broken.length < this.sent) {
      assert.ok(performance.now() < giveUpAt, 'every request is answered');
      await new Promise((resolve) => setTimeout(resolve, BURST_EVERY_MS));
    }
    for (const connection of this.#idle.flat()) connection.close();
  }

  #burst(): void {
    const due = Math.floor(((performance.now() - this.#startedAt) / 1000) * this.#options.perSecond);
    while (this.sent < due) this.#send(this.sent++);
  }

  #send(number: number): void {
    const { urls, path } = this.#options;
    const turn = number % urls.length;
    const idle = this.#idle[turn] as Connection[];
    let connection = idle.pop();
    if (connection?.stale === true) {
      for (const old of idle.splice(0)) old.close(); // they have been idle for longer still
      connection.close();
      connection = undefined;
    }
    connection ??= this.#connect(urls[turn] as string, idle);
    connection.ask(path(number));
  }

  #connect(url: string, idle: Connection[]): Connection {
    assert.ok(this.sent - this.answers.length <= WAITING_MAX, `at most ${WAITING_MAX} requests wait`);
    const connection: Connection = new Connection(
      url,
      (answer) => {
        this.answers.push(answer);
        idle.push(connection);
      },
      (why) => this.broken.push(why),
    );
    return connection;
  }
}

/** One keep-alive connection with one request at a time. */
class Connection {
  readonly #socket: net.Socket;
  readonly #host: string;
  #sentAt = 0;
  #answeredAt = 0;
  #waiting = false;
  #text = '';

  constructor(url: string, onAnswer: (answer: Answered) => void, onBroken: (why: string) => void) {
    const { hostname, port, host } = new URL(url);
    this.#host = host;
    this.#socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => {
      this.#text += text;
      const answer = this.#whole();
      if (answer !== undefined) onAnswer(answer);
    });
    this.#socket.on('error', () => {}); // 'close' follows
    this.#socket.on('close', () => {
      if (this.#waiting) onBroken(`the connection closed after ${Math.round(performance.now() - this.#sentAt)} ms`);
      this.#waiting = false;
    });
  }

  ask(path: string): void {
    this.#waiting = true;
    this.#sentAt = performance.now();
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n\r\n`);
  }

  /** Idle for too long to be used again. */
  get stale(): boolean {
    return performance.now() - this.#answeredAt > IDLE_MS_MAX;
  }

  close(): void {
    this.#socket.destroy();
  }

  #whole(): Answered | undefined {
    const headEnd = this.#text.indexOf('\r\n\r\n');
    if (headEnd === -1) return undefined;
    const head = this.#text.slice(0, headEnd).toLowerCase();
    const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
    if (this.#text.length < headEnd + 4 + length) return undefined;
    this.#text = '';
    this.#waiting = false;
    this.#answeredAt = performance.now();
    return { status: Number(head.slice(9, 12)), tookMs: this.#answeredAt - this.#sentAt, head };
  }
}

/** @param share 0..1 */
export function quantileMs(answers: readonly Answered[], share: number): number {
  const sorted = answers.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
