/**
 * Clients that deposit money into many accounts, and know what every balance must be.
 *
 * Each deposit has an Idempotency-Key and is sent until it is acknowledged, to either interface server, as a careful
 * client would. So at the end every deposit that was begun counts exactly once.
 */
import { randomUUID } from 'node:crypto';

export interface DepositLoadOptions {
  /** e.g. `http://127.0.0.1:8080`, one for each interface server. */
  readonly urls: readonly string[];
  readonly accounts: number;
  readonly clients: number;
}

/** A deposit that is not acknowledged after this long fails the test. */
const GIVE_UP_MS = 20_000;
const PAUSE_MS = 20;

export class DepositLoad {
  readonly expected = new Map<string, number>();
  readonly entries = new Map<string, number>();
  /** Answers and failures that were no acknowledgement, by what they were. */
  readonly refusals = new Map<string, number>();
  acknowledged = 0;
  /** Longest time one deposit took, retries included. */
  slowestMs = 0;
  readonly #options: DepositLoadOptions;
  #running = true;
  #clients: Promise<void>[] = [];

  constructor(options: DepositLoadOptions) {
    this.#options = options;
  }

  get accounts(): string[] {
    return Array.from({ length: this.#options.accounts }, (_, index) => `account-${index}`);
  }

  /** Creates the accounts and starts the clients. */
  async start(): Promise<void> {
    for (const account of this.accounts) {
      await this.#untilAcknowledged('PUT', `/accounts/${account}`, {});
      this.expected.set(account, 0);
      this.entries.set(account, 0);
    }
    this.#clients = Array.from({ length: this.#options.clients }, (_, index) => this.#client(index));
  }

  /** Lets every begun deposit end. @throws what a client could not get done */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  async #client(index: number): Promise<void> {
    const accounts = this.accounts;
    for (let turn = index; this.#running; turn++) {
      const account = accounts[turn % accounts.length] as string;
      const amount = 1 + (turn % 9);
      await this.#untilAcknowledged('POST', `/accounts/${account}/deposits`, { amount });
      this.acknowledged++;
      this.expected.set(account, (this.expected.get(account) ?? 0) + amount);
      this.entries.set(account, (this.entries.get(account) ?? 0) + 1);
    }
  }

  async #untilAcknowledged(method: string, path: string, body: unknown): Promise<void> {
    const key = randomUUID();
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt++) {
      const url = this.#options.urls[(attempt + key.charCodeAt(0)) % this.#options.urls.length];
      const refusal = await send(`${url}${path}`, method, body, key);
      const elapsedMs = performance.now() - startedAt;
      this.slowestMs = Math.max(this.slowestMs, elapsedMs);
      if (refusal === '') return;
      this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
      if (elapsedMs > GIVE_UP_MS)
        throw new Error(`${method} ${path} was not acknowledged in ${GIVE_UP_MS} ms: ${refusal}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** @returns '' when it was acknowledged, else what came instead */
async function send(url: string, method: string, body: unknown, key: string): Promise<string> {
  try {
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status === 200 || response.status === 201) return '';
    const { code } = JSON.parse(text) as { code?: string };
    return `${response.status} ${code}`;
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
    return `connection: ${cause?.code ?? String(error)}`;
  }
}
